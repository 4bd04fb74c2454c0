# Where WARMBOX_LAUNCHER is set, the interpreter becomes the launcher here, at the end
# of its start: a child that is forked for a job goes on from here to its main file.
if b"WARMBOX_LAUNCHER" in __import__("posix").environ:
    # Compiled before: a compiler leaves a megabyte that each of us would keep.
    with open("/opt/warmbox/launcher.pyc", "rb") as _file:
        _code = __import__("marshal").loads(_file.read()[16:])
    exec(_code, {"__name__": "warmbox_launcher"})
    del _file, _code
