"""The third-party files of the pages: their pins, and how they are built.

``package.json`` and its lock pin them, `api.assets.build` fetches them and
writes ``api/static/vendor``. This folder stays out of the wheel, which
carries what was built.
"""
