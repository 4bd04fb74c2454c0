# Where WARMBOX_LAUNCHER is set, the interpreter becomes the launcher here, at the end
# of its start: a child that is forked for a job goes on from here to its main file.
if b"WARMBOX_LAUNCHER" in __import__("posix").environ:
    exec(open("/opt/warmbox/launcher.py").read(), {"__name__": "warmbox_launcher"})
