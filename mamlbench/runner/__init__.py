"""One run from request to record, read top down: plan, build, train, evaluate, record; and what is built of runs.

``plan.py`` fills in every setting, ``build.py`` makes the parts, ``train.py`` is the loop: an update (a sum over
tasks, so that parts of it can be added up) is computed and applied there. ``checkpoints.py`` saves and restores state,
``evaluate.py`` scores episodes, ``execute.py`` writes the record. ``launch.py`` runs several. ``suites``, ``reruns``,
``datasets`` and ``adapt`` have a folder each.
"""
