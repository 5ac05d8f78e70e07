"""Searching a strategy's parameters: many light runs, what they came to, and how much of that is luck.

`space` and `where` say what is tried, `searching` in which order, `working` runs one trial, `executing`
many, `trials` keeps them, `folds` splits a period, `measures` and `overfitting` judge, `study` leads,
`page` and `heatmap` show.
"""
