# Where WARMBOX_LAUNCHER is set, the interpreter becomes the launcher here, at the end
# of its start: a child that is forked for a job goes on from here to its main file.
if b"WARMBOX_LAUNCHER" in __import__("posix").environ:
    # Compiled first: exec of a text keeps its syntax tree until the text has run.
    _file = "/opt/warmbox/launcher.py"
    exec(compile(open(_file).read(), _file, "exec"), {"__name__": "warmbox_launcher"})
    del _file
