"""Many clients at once against two web processes: what each was told fits one serial order. Faults F12 to F20."""
