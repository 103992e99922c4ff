"""A simulated lab: synthetic bacteria, seen through a synthetic microscope.

Everything made here says that it is synthetic. It needs the extra
`etdb[demo]`; the rest of etdb does not.
"""
