"""Landscapes: functions of few parameters that show what methods do. One file each, found by listing.

Every one has its gradient and its Hessian as formulas, its minima, its usual starts and a window to
show; ``FormulaProblem.transformed`` rotates, shifts, scales it and adds gradient noise.
"""
