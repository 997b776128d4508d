"""The steps of the check, a file for each.

A step has a `TITLE`, the usual `SECONDS` of a point, `SHARE`, the seconds that it has in a first round of all steps,
`points(check)`, which yields points in the order of their worth, and `report(found)`, which makes lines of Markdown of
the results by point.
"""

STAGES = {
    1: ("versions", "dtypes", "capture", "gpu_tests"),
    2: ("accuracy", "solo"),
    3: ("packs", "profile", "sweeps"),
    4: ("resume", "memory"),
}
