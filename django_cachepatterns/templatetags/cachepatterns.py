"""`{% cached %}`: a part of a page that is rendered once and shown to many.

{% load cachepatterns %}
{% cached 300 "sidebar" user.pk tags="catalog" %} ... {% endcached %}
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from django import template
from django.template import Context, Node, NodeList, TemplateSyntaxError, Variable
from django.template.base import FilterExpression, Parser, Token, VariableDoesNotExist, kwarg_re
from django.template.loader_tags import BLOCK_CONTEXT_KEY, BlockNode

from ..arguments import UnstableArgument
from ..exceptions import PolicyError
from ..fragments import Fragment, fragment_policy, invalidate_fragment

__all__ = ["cached", "invalidate_fragment", "register"]

register = template.Library()

KEYWORDS = ("tags", "depends_on", "soft_ttl", "stampede", "localized")
USAGE = '{% cached 300 "name" value1 value2 tags="a,b" %} ... {% endcached %}'


class CachedNode(Node):
    """The part of a template between `{% cached %}` and `{% endcached %}`."""

    child_nodelists = ("nodelist",)

    def __init__(
        self,
        nodelist: NodeList,
        body: str,
        ttl: FilterExpression,
        name: FilterExpression,
        vary: list[FilterExpression],
        keywords: dict[str, FilterExpression],
    ) -> None:
        self.nodelist = nodelist
        self._body = body
        self._ttl, self._name, self._vary = ttl, name, vary
        self._keywords = keywords
        self._blocks = [str(node.name) for node in nodelist.get_nodes_by_type(BlockNode)]  # type: ignore[attr-defined]

    def render(self, context: Context) -> str:
        """The part, from the cache or rendered anew."""
        body = self._body_in(context)
        if body is None:
            return self.nodelist.render(context)
        name = _resolved(self._name, context)
        if not isinstance(name, str) or not name:
            raise _fault(f"the name {self._name} is {name!r}. Quote a text: {USAGE}.")
        options = {key: _resolved(each, context) for key, each in self._keywords.items()}
        vary = [_resolved(each, context) for each in self._vary]
        tags, models = (_listed(key, options.pop(key, ())) for key in ("tags", "depends_on"))
        localized = bool(options.pop("localized", True))
        try:
            policy = fragment_policy(name, _resolved(self._ttl, context), options)
            fragment = Fragment(name, vary, body, localized)
            render = partial(self.nodelist.render, context)
            asked = fragment.asked(render, _texts("tags", tags), models)
        except (PolicyError, UnstableArgument) as error:
            raise _fault(str(error)) from error
        return fragment.read(asked, policy)

    def _body_in(self, context: Context) -> str | None:
        """What tells this part from others of its name; `None` where nothing does.

        A template that extends this one may fill the blocks in it; and what was rendered without
        escaping must not be shown where text is escaped.
        """
        how = (context.autoescape, context.use_l10n, context.use_tz)
        parts = [self._body, *map(str, how)]
        filled: Any = context.render_context.get(BLOCK_CONTEXT_KEY)
        for name in self._blocks if filled is not None else ():
            for block in filled.blocks.get(name, ()):
                if block.origin.template_name is None:
                    return None
                parts += (name, str(block.origin.template_name))
        return _hash(parts)


@register.tag
def cached(parser: Parser, token: Token) -> CachedNode:
    """Cache a part of a template.

    Usage: `{% cached ttl "name" value... keyword=value... %} ... {% endcached %}`

    `ttl` is a number of seconds, or a variable that holds a timedelta or a `CachePolicy`. Each
    value is part of the key. Language and time zone are, too, unless `localized=False`. Further
    keywords: `tags` (text with commas, or a list), `depends_on` (such as
    `"shop.Product,shop.Category"`), `soft_ttl` (seconds; then stale text is shown while one request
    renders), and `stampede`.
    """
    bits = token.split_contents()[1:]
    vary: list[FilterExpression] = []
    keywords: dict[str, FilterExpression] = {}
    if len(bits) < 2:
        raise _fault(f"it needs a ttl and a name. Write {USAGE}.")
    for bit in bits[2:]:
        found = kwarg_re.match(bit)
        keyword = found[1] if found else None
        if keyword is None:
            if keywords:
                raise _fault(f"{bit} stands after a keyword. Write values first: {USAGE}.")
            vary.append(parser.compile_filter(bit))
        elif keyword not in KEYWORDS:
            raise _fault(f"{keyword}= is not known. Use {', '.join(KEYWORDS)}.")
        else:
            keywords[keyword] = parser.compile_filter(found[2])  # type: ignore[index]
    ttl, name = (parser.compile_filter(bit) for bit in bits[:2])
    ahead: list[Token] = list(parser.tokens)  # type: ignore[arg-type]
    nodelist = parser.parse(("endcached",))
    source = ahead[len(parser.tokens) :]
    parser.delete_first_token()
    body = _hash([f"{each.token_type.value} {each.contents}" for each in source])
    return CachedNode(nodelist, body, ttl, name, vary, keywords)


def _resolved(expression: FilterExpression, context: Context) -> Any:
    """The value of an expression. A key that a dict lacks is `None`; all else must be there: a
    misspelt `user.pk` would show one user's page to all."""
    if isinstance(expression.var, Variable) and not expression.filters:
        try:
            return expression.var.resolve(context)
        except VariableDoesNotExist as error:
            if len(error.params) == 2 and isinstance(error.params[1], Mapping):
                return None
            raise _fault(
                f"{expression.token} is not there. Correct the name, or write "
                f'{expression.token}|default:"" where it may be missing.'
            ) from error
    return expression.resolve(context, ignore_failures=True)


def _listed(keyword: str, value: Any) -> list[Any]:
    if isinstance(value, str):
        return [each.strip() for each in value.split(",") if each.strip()]
    if isinstance(value, list | tuple):
        return list(value)
    raise _fault(f"{keyword} is {value!r}. Give a text with commas, or a list.")


def _texts(keyword: str, values: list[Any]) -> list[str]:
    for value in values:
        if not isinstance(value, str):
            raise _fault(f"{keyword} has {value!r}. Give texts.")
    return [str.__str__(value) for value in values]


def _hash(parts: list[str]) -> str:
    text = "\0".join(parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _fault(message: str) -> TemplateSyntaxError:
    return TemplateSyntaxError("{% cached %}: " + message)
