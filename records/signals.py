"""`resources_written(batch, access)`: sent by the store once for each transaction's set of writes, inside it.

A receiver that raises aborts the transaction. Each item of `batch` is a store.Written; `access` is the writer's.
"""

from django.dispatch import Signal

resources_written = Signal()
