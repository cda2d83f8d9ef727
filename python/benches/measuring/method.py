"""What is true of each benchmark program, in words, for the pages that they write."""

METHOD = """\
All subjects of a row are measured in the same process, one after the other in each round, and who
begins changes from round to round; a first round does not count. Figures are medians. **Compare
figures of one run only, and believe none from a busy machine.** A target that is a ratio is
judged by the median of the ratios within the rounds, so it may differ in the last digit from the
ratio of the medians. Nothing is left out because it looks bad. The garbage collector is on, as in
a user's program; what other measurements have left is collected before the clock starts.

Each answer is compared with what it must be, after the clock has stopped.
"""
