"""One run computed by several processes together, each called a rank (docs/ranks.md).

``rank_place.py`` reads which rank this process is, ``rank_group.py`` sends and adds up, ``shares.py`` divides the work,
``following.py`` is what every rank but the first does: it computes, and writes nothing.
"""
