"""The terminal UI. Importing any part of it first closes Textual's debugging exits."""

import os

# By these Textual writes screens, keys or logs outside the terminal, loads foreign code, takes signals or
# changes what is shown. All its names go, so that one it will get later is closed as well.
for _exit in [name for name in os.environ if name.startswith("TEXTUAL")]:
    del os.environ[_exit]
