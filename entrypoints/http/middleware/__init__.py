"""Plain ASGI middleware, one class a module. Starlette's `BaseHTTPMiddleware` would cost more than a whole handler."""
