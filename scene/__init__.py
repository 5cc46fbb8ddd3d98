"""The only writer of bpy.data. Operators call these functions; tests and scripts may too."""
