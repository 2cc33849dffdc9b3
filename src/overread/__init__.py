"""overread: from radiographs of several hospitals to the evidence about a classifier of their findings.

>>> import overread as ov
>>> ov.stats.auc([1, 1, 0, 0, 0], [0.9, 0.4, 0.4, 0.1, 0.3])
AUC 0.917 (95% CI 0.686 to 1.000)

Every command has a function of its name: demo, check, deidentify, splits, sample, train, predict, evaluate, report,
verify, plan and run; `overread cohort` is load(...).build(...), since `overread.cohort` is the package. What is public
stands in `__init__.pyi`, and is loaded when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
