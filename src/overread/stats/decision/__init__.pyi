from .net_benefits import DecisionCurve as DecisionCurve
from .net_benefits import NetBenefitDifference as NetBenefitDifference
from .net_benefits import compare_net_benefit as compare_net_benefit
from .net_benefits import net_benefit as net_benefit
