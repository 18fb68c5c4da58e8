"""A first profile from real messages, with open questions as comments (``gateway profile new``).

The way: capture → format (`formats`) → topics (`topics`) → sorts of messages (`groups`) → blocks
(`block`), or a layout of bytes (`layout`) → a text with cases from the capture (`draft`).
"""
