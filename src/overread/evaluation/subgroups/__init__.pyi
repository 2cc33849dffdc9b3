from .group_aucs import subgroups as subgroups
