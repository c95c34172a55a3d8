"""The texts that claims cite: how they are called in a sentence, and in full with a link."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """A text. ``name`` in a sentence, ``full`` in a list; ``link`` an address, "" for what is in nobody's library."""

    name: str
    full: str
    link: str = ""


REFERENCES = {
    "notes": Reference(
        "the lecture notes",
        "Gradient Descent w/ Adaptive Learning Rate. Lecture notes, unsigned: a sigmoid neuron with a sparse feature; AdaGrad, RMSProp, AdaDelta, Adam, bias correction, the $L^p$ norm, AdaMax and MaxProp.",
    ),
    "darve": Reference(
        "Darve's lecture",
        "Eric Darve: Adagrad. Lecture in CME 216 / ME 343, Stanford University, ICME, spring 2020: a badly scaled quadratic, its convergence analysis and a benchmark.",
    ),
    "slides": Reference(
        "Cota Moreira's slides",
        "Maria Gabriela Cota Moreira: Optimization Algorithms 2: RMSprop, Adadelta & Adam. Slides, ASTR 502, 21 March.",
    ),
    "readme": Reference(
        "the Adadelta readme",
        "ADADELTA: An Adaptive Learning Rate Method. README of an implementation in NumPy, unsigned, after Zeiler (arXiv 1212.5701) and Ruder (arXiv 1609.04747).",
        "https://arxiv.org/abs/1212.5701",
    ),
    "wilson": Reference(
        "Wilson et al. (2017)",
        "Ashia C. Wilson, Rebecca Roelofs, Mitchell Stern, Nathan Srebro, Benjamin Recht: The Marginal Value of Adaptive Gradient Methods in Machine Learning. NeurIPS 2017, arXiv 1705.08292.",
        "https://arxiv.org/abs/1705.08292",
    ),
    "cohen2021": Reference(
        "Cohen et al. (2021)",
        "Jeremy M. Cohen, Simran Kaur, Yuanzhi Li, J. Zico Kolter, Ameet Talwalkar: Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability. ICLR 2021, arXiv 2103.00065.",
        "https://arxiv.org/abs/2103.00065",
    ),
    "cohen2022": Reference(
        "Cohen et al. (2022)",
        "Jeremy M. Cohen et al.: Adaptive Gradient Methods at the Edge of Stability. 2022, arXiv 2207.14484.",
        "https://arxiv.org/abs/2207.14484",
    ),
    "choi": Reference(
        "Choi et al. (2019)",
        "Dami Choi, Christopher J. Shallue, Zachary Nado, Jaehoon Lee, Chris J. Maddison, George E. Dahl: On Empirical Comparisons of Optimizers for Deep Learning. 2019, arXiv 1910.05446.",
        "https://arxiv.org/abs/1910.05446",
    ),
    "kingma": Reference(
        "Kingma & Ba (2015)",
        "Diederik P. Kingma, Jimmy Ba: Adam: A Method for Stochastic Optimization. ICLR 2015, arXiv 1412.6980.",
        "https://arxiv.org/abs/1412.6980",
    ),
    "polyak": Reference(
        "Polyak (1964)",
        "Boris T. Polyak: Some methods of speeding up the convergence of iteration methods. USSR Computational Mathematics and Mathematical Physics 4(5), 1964, 1–17.",
        "https://doi.org/10.1016/0041-5553(64)90137-5",
    ),
    "odonoghue": Reference(
        "O'Donoghue & Candès (2012)",
        "Brendan O'Donoghue, Emmanuel Candès: Adaptive Restart for Accelerated Gradient Schemes. 2012, arXiv 1204.3982.",
        "https://arxiv.org/abs/1204.3982",
    ),
}
_CITED = re.compile(r"\[@(\w+)\]")


def cited(text: str) -> list[Reference]:
    """What a text cites as ``[@notes]``, each once; KeyError for one that is unknown."""
    return [REFERENCES[name] for name in dict.fromkeys(_CITED.findall(text))]


def named(text: str) -> str:
    """A text with its citations as the names of what they cite."""
    return _CITED.sub(lambda hit: REFERENCES[hit[1]].name, text)
