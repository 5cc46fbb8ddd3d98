"""Reshoot: the camera and the people of a film shot, in Blender. Blender is imported only inside register()."""


def register():
    from . import registration

    registration.register()


def unregister():
    from . import registration

    registration.unregister()
