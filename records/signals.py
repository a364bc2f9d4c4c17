"""`resources_written(batch)`: sent by the store once for each transaction's set of writes, inside that transaction.

A receiver that raises aborts the transaction. Each item of `batch` is a store.Written.
"""

from django.dispatch import Signal

resources_written = Signal()
