from .markdown import inline as inline
