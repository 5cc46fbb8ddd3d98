"""The least squares problem that *body* (S_c) and *world* (f_H) share: bodies over a whole shot, and the ground they stand on.

`bodies` holds the unknowns and how points of the body move with them, `rows` what a residual is, `solve` the damped Gauss-Newton steps.
The terms stand in a file a family: `picture`, `pose`, `motion`, `ground`, `outline`.
"""
