"""What the microscope wrote: MRC, mdoc and tilt files, and pictures of them.

Readers here are tolerant: a bad header becomes a warning in plain words, never
an exception. They know nothing of records, roles or publishing.
"""
