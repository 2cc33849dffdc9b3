"""The literature behind the methods. A report lists those that it cites, in the order in which it does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Reference:
    """A paper: authors, title, where, and its DOI ("" where there is none)."""

    text: str
    doi: str = ""


REFERENCES = MappingProxyType(
    {
        "stard": Reference(
            "Bossuyt PM, Reitsma JB, Bruns DE, et al. STARD 2015: an updated list of essential items for reporting "
            "diagnostic accuracy studies. BMJ 2015;351:h5527.",
            "10.1136/bmj.h5527",
        ),
        "densenet": Reference(
            "Huang G, Liu Z, van der Maaten L, Weinberger KQ. Densely connected convolutional networks. CVPR 2017.",
            "10.1109/CVPR.2017.243",
        ),
        "adamw": Reference(
            "Loshchilov I, Hutter F. Decoupled weight decay regularization. ICLR 2019.", "10.48550/arXiv.1711.05101"
        ),
        "cosine": Reference(
            "Loshchilov I, Hutter F. SGDR: stochastic gradient descent with warm restarts. ICLR 2017.",
            "10.48550/arXiv.1608.03983",
        ),
        "imagenet": Reference(
            "Russakovsky O, Deng J, Su H, et al. ImageNet large scale visual recognition challenge. "
            "Int J Comput Vis 2015;115:211–252.",
            "10.1007/s11263-015-0816-y",
        ),
        "cox": Reference(
            "Cox DR. Two further applications of a model for binary regression. Biometrika 1958;45:562–565.",
            "10.1093/biomet/45.3-4.562",
        ),
        "gradcam": Reference(
            "Selvaraju RR, Cogswell M, Das A, et al. Grad-CAM: visual explanations from deep networks via "
            "gradient-based "
            "localization. Int J Comput Vis 2020;128:336–359.",
            "10.1007/s11263-019-01228-7",
        ),
        "cam": Reference(
            "Zhou B, Khosla A, Lapedriza A, Oliva A, Torralba A. Learning deep features for discriminative "
            "localization. "
            "CVPR 2016.",
            "10.1109/CVPR.2016.319",
        ),
        "delong": Reference(
            "DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more correlated receiver "
            "operating "
            "characteristic curves: a nonparametric approach. Biometrics 1988;44:837–845.",
            "10.2307/2531595",
        ),
        "obuchowski": Reference(
            "Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 1997;53:567–578.",
            "10.2307/2533958",
        ),
        "satterthwaite": Reference(
            "Satterthwaite FE. An approximate distribution of estimates of variance components. "
            "Biometrics Bull 1946;2:110–114.",
            "10.2307/3002019",
        ),
        "efron": Reference(
            "Efron B. Bootstrap methods: another look at the jackknife. Ann Stat 1979;7:1–26.", "10.1214/aos/1176344552"
        ),
        "wilson": Reference(
            "Wilson EB. Probable inference, the law of succession, and statistical inference. "
            "J Am Stat Assoc 1927;22:209–212.",
            "10.1080/01621459.1927.10502953",
        ),
        "rao": Reference(
            "Rao JNK, Scott AJ. A simple method for the analysis of clustered binary data. Biometrics 1992;48:577–585.",
            "10.2307/2532311",
        ),
        "genders": Reference(
            "Genders TSS, Spronk S, Stijnen T, Steyerberg EW, Lesaffre E, Hunink MGM. Methods for calculating "
            "sensitivity and specificity of clustered data: a tutorial. Radiology 2012;265:910–916.",
            "10.1148/radiol.12120509",
        ),
        "f1": Reference(
            "Takahashi K, Yamamoto K, Kuchiba A, Koyama T. Confidence interval for micro-averaged F1 and "
            "macro-averaged F1 "
            "scores. Appl Intell 2022;52:4961–4972.",
            "10.1007/s10489-021-02635-5",
        ),
        "simel": Reference(
            "Simel DL, Samsa GP, Matchar DB. Likelihood ratios with confidence: sample size estimation for diagnostic "
            "test "
            "studies. J Clin Epidemiol 1991;44:763–770.",
            "10.1016/0895-4356(91)90128-V",
        ),
        "mcnemar": Reference(
            "McNemar Q. Note on the sampling error of the difference between correlated proportions or percentages. "
            "Psychometrika 1947;12:153–157.",
            "10.1007/BF02295996",
        ),
        "tango": Reference(
            "Tango T. Equivalence test and confidence interval for the difference in proportions for the paired-sample "
            "design. Stat Med 1998;17:891–908.",
            "10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
        ),
        "obuchowski_correlated": Reference(
            "Obuchowski NA. On the comparison of correlated proportions for clustered data. Stat Med "
            "1998;17:1495–1507.",
            "10.1002/(SICI)1097-0258(19980715)17:13<1495::AID-SIM863>3.0.CO;2-I",
        ),
        "binder": Reference(
            "Binder DA. On the variances of asymptotically normal estimators from complex surveys. "
            "Int Stat Rev 1983;51:279–292.",
            "10.2307/1402588",
        ),
        "rutter": Reference(
            "Rutter CM. Bootstrap estimation of diagnostic accuracy with patient-clustered data. "
            "Acad Radiol 2000;7:413–419.",
            "10.1016/S1076-6332(00)80381-5",
        ),
        "brier": Reference(
            "Brier GW. Verification of forecasts expressed in terms of probability. Mon Weather Rev 1950;78:1–3.",
            "10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
        ),
        "ece": Reference(
            "Naeini MP, Cooper GF, Hauskrecht M. Obtaining well calibrated probabilities using Bayesian binning. AAAI "
            "2015.",
            "10.1609/aaai.v29i1.9602",
        ),
        "calibration": Reference(
            "Van Calster B, McLernon DJ, van Smeden M, Wynants L, Steyerberg EW. Calibration: the Achilles heel of "
            "predictive analytics. BMC Med 2019;17:230.",
            "10.1186/s12916-019-1466-7",
        ),
        "holm": Reference(
            "Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat 1979;6:65–70."
        ),
        "berger": Reference(
            "Berger RL. Multiparameter hypothesis testing and acceptance sampling. Technometrics 1982;24:295–300.",
            "10.1080/00401706.1982.10487790",
        ),
        "zech": Reference(
            "Zech JR, Badgeley MA, Liu M, et al. Variable generalization performance of a deep learning model to "
            "detect "
            "pneumonia in chest radiographs: a cross-sectional study. PLoS Med 2018;15:e1002683.",
            "10.1371/journal.pmed.1002683",
        ),
        "ici": Reference(
            "Austin PC, Steyerberg EW. The Integrated Calibration Index (ICI) and related metrics for quantifying the "
            "calibration of logistic regression models. Stat Med 2019;38:4051–4065.",
            "10.1002/sim.8281",
        ),
        "loess": Reference(
            "Cleveland WS, Devlin SJ. Locally weighted regression: an approach to regression analysis by local "
            "fitting. J Am Stat Assoc 1988;83:596–610.",
            "10.1080/01621459.1988.10478639",
        ),
        "kumar": Reference(
            "Kumar A, Liang P, Ma T. Verified uncertainty calibration. NeurIPS 2019.", "10.48550/arXiv.1909.10155"
        ),
        "spiegelhalter": Reference(
            "Spiegelhalter DJ. Probabilistic prediction in patient management and clinical trials. "
            "Stat Med 1986;5:421–433.",
            "10.1002/sim.4780050506",
        ),
        "hosmer": Reference(
            "Hosmer DW, Lemeshow S. Goodness of fit tests for the multiple logistic regression model. "
            "Commun Stat Theory Methods 1980;9:1043–1069.",
            "10.1080/03610928008827941",
        ),
        "vickers": Reference(
            "Vickers AJ, Elkin EB. Decision curve analysis: a novel method for evaluating prediction models. "
            "Med Decis Making 2006;26:565–574.",
            "10.1177/0272989X06295361",
        ),
        "pfeiffer": Reference(
            "Pfeiffer RM, Gail MH. Estimating the decision curve and its precision from three study designs. "
            "Biom J 2020;62:764–776.",
            "10.1002/bimj.201800240",
        ),
        "coull": Reference(
            "Agresti A, Coull BA. Approximate is better than “exact” for interval estimation of binomial proportions. "
            "Am Stat 1998;52:119–126.",
            "10.1080/00031305.1998.10480550",
        ),
        "hothorn": Reference(
            "Hothorn T, Bretz F, Westfall P. Simultaneous inference in general parametric models. "
            "Biom J 2008;50:346–363.",
            "10.1002/bimj.200810425",
        ),
        "underdiagnosis": Reference(
            "Seyyed-Kalantari L, Zhang H, McDermott MBA, Chen IY, Ghassemi M. Underdiagnosis bias of artificial "
            "intelligence algorithms applied to chest radiographs in under-served patient populations. "
            "Nat Med 2021;27:2176–2182.",
            "10.1038/s41591-021-01595-0",
        ),
        "modelcards": Reference(
            "Mitchell M, Wu S, Zaldivar A, et al. Model cards for model reporting. FAT* 2019;220–229.",
            "10.1145/3287560.3287596",
        ),
        "owen": Reference("Owen AB. The pigeonhole bootstrap. Ann Appl Stat 2007;1:386–411.", "10.1214/07-AOAS122"),
        "gallas": Reference(
            "Gallas BD, Bandos A, Samuelson FW, Wagner RF. A framework for random-effects ROC analysis: biases "
            "with the "
            "bootstrap and other variance estimators. Commun Stat Theory Methods 2009;38:2586–2603.",
            "10.1080/03610920802610084",
        ),
        "rockette": Reference(
            "Obuchowski NA, Rockette HE. Hypothesis testing of diagnostic accuracy for multiple readers and multiple "
            "tests: an ANOVA approach with dependent observations. Commun Stat Simul Comput 1995;24:285–308.",
            "10.1080/03610919508813243",
        ),
        "hillis": Reference(
            "Hillis SL. A comparison of denominator degrees of freedom methods for multiple observer ROC analysis. "
            "Stat Med 2007;26:596–619.",
            "10.1002/sim.2532",
        ),
        "chexnet": Reference(
            "Rajpurkar P, Irvin J, Zhu K, et al. CheXNet: radiologist-level pneumonia detection on chest X-rays with "
            "deep learning. 2017.",
            "10.48550/arXiv.1711.05225",
        ),
        "dawid": Reference(
            "Dawid AP, Skene AM. Maximum likelihood estimation of observer error-rates using the EM algorithm. "
            "J R Stat Soc C 1979;28:20–28.",
            "10.2307/2346806",
        ),
        "cohen": Reference(
            "Cohen J. A coefficient of agreement for nominal scales. Educ Psychol Meas 1960;20:37–46.",
            "10.1177/001316446002000104",
        ),
        "fleiss": Reference(
            "Fleiss JL. Measuring nominal scale agreement among many raters. Psychol Bull 1971;76:378–382.",
            "10.1037/h0031619",
        ),
        "light": Reference(
            "Light RJ. Measures of response agreement for qualitative data: some generalizations and alternatives. "
            "Psychol Bull 1971;76:365–377.",
            "10.1037/h0031643",
        ),
        "everitt": Reference(
            "Fleiss JL, Cohen J, Everitt BS. Large sample standard errors of kappa and weighted kappa. "
            "Psychol Bull 1969;72:323–327.",
            "10.1037/h0028106",
        ),
        "gwet": Reference(
            "Gwet KL. Computing inter-rater reliability and its variance in the presence of high agreement. "
            "Br J Math Stat Psychol 2008;61:29–48.",
            "10.1348/000711006X126600",
        ),
        "krippendorff": Reference(
            "Hayes AF, Krippendorff K. Answering the call for a standard reliability measure for coding data. "
            "Commun Methods Meas 2007;1:77–89.",
            "10.1080/19312450709336664",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Cited:
    """Paragraphs whose citations are numbered, and the references in that order."""

    paragraphs: tuple[tuple[str, str], ...]
    references: tuple[Reference, ...]


def number_citations(paragraphs: Iterable[tuple[str, str]]) -> Cited:
    """Headed paragraphs with [@key] turned into numbers, in the order of first citation.

    >>> number_citations([("AUC", "As in [@delong,holm]."), ("p", "By [@holm].")]).paragraphs
    (('AUC', 'As in [1,2].'), ('p', 'By [2].'))
    """
    order: dict[str, int] = {}

    def numbered(match: re.Match[str]) -> str:
        keys = match.group(1).split(",")
        if not set(keys) <= set(REFERENCES):  # no citation of ours: part of a name
            return match.group(0)
        return "[" + ",".join(str(order.setdefault(k, len(order) + 1)) for k in keys) + "]"

    made = tuple((title, re.sub(r"\[@([a-z0-9,]+)\]", numbered, text)) for title, text in paragraphs)
    return Cited(made, tuple(REFERENCES[k] for k in order))
