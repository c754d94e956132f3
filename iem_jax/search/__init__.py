"""Better masks than the paper's, still without labels, weights or training: the presets.

Here belongs how a mask is searched for in one picture: starts, candidates, the model of its colours, the choice
among candidates. Pure functions of arrays; may use `core` and `config`.
"""
