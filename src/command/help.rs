//! What is told of the command and its parts.

/// `mobula --help`.
pub(super) const ALL: &str = "\
Looks at programs that run task graphs with Mobula, while they run and afterwards.

Usage: mobula COMMAND [ARGUMENTS]

Commands:
  report JOURNAL   Write what a journal holds as a page, a trace or a picture
  top [URL]        Show what a program does, in the terminal
  explain KEY      Say what is known of a key: why it ran, waits or failed

Options:
  -h, --help       Show this, or with a command what that takes
  -V, --version    Show the version
";

/// `mobula report --help`.
pub(super) const REPORT: &str = "\
Writes what a journal holds as a page, a trace or a picture. A journal is what a program has written of its runs,
also if it has crashed.

Usage: mobula report JOURNAL [OPTIONS]

Options:
  -o, --output FILE   Write the page, one file that opens offline. Without any of these options
                      it is written beside the journal, with `.html` for the end of its name
      --trace FILE    Write a trace for Perfetto (https://ui.perfetto.dev) and chrome://tracing
      --svg FILE      Write a picture of the graph
      --run NUMBER    Whose graph; else that of the run with the most tasks
      --color WHAT    What the colours of the picture mean: time (if not said otherwise),
                      memory, order or prefix
  -h, --help          Show this

A FILE of `-` is the standard output.
";

/// `mobula top --help`.
pub(super) const TOP: &str = "\
Shows what a program does: its runs, its workers, its memory, its errors.

Usage: mobula top [URL] [OPTIONS]

URL is what the dashboard of the program prints: http://127.0.0.1:8787/?token=…, in quotes. Without it the
environment variable MOBULA_DASHBOARD says it.

Options:
      --once               Show how things stand now, as text, and end. So it is without a terminal, too
      --interval SECONDS   How long to wait between two looks; 0.5 if not said otherwise
  -h, --help               Show this

It ends with q or Ctrl-C, and with the program.
";

/// `mobula explain --help`.
pub(super) const EXPLAIN: &str = "\
Says what is known of a key: whether its task waits and for what, where it runs, why it failed, what happened to its
value.

Usage: mobula explain KEY [OPTIONS]

KEY is written as it is shown: inc-3, or a tuple: \"('x', 0)\".

Options:
      --url URL   What the dashboard of the program prints. Without it the environment variable
                  MOBULA_DASHBOARD says it
  -h, --help      Show this
";
