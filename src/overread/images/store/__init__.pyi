from .executors import in_order as in_order
from .executors import in_portions as in_portions
from .executors import undisturbed as undisturbed
from .pixel_store import Store as Store
from .pixel_store import open_store as open_store
from .unreadable_images import problems as problems
from .worker_pool import WorkItem as WorkItem
from .worker_pool import begin_worker as begin_worker
