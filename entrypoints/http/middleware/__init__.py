"""Pure ASGI middleware, one class per module. Starlette's `BaseHTTPMiddleware` costs more than a whole handler."""
