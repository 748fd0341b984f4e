"""A request as its head and the config have answered it, and the groups that what is stored for it belongs to."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.admission.charge import Quote
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Account, Route
from gateway.admission.tagging import content_tags, head_tags
from gateway.admission.target import Query, canonical
from gateway.messages import Request
from gateway.rfc9111.demands import Demands


@dataclass(slots=True)
class Prepared:
    """A request whose every pure question is answered.

    `request` has no field left that its Connection nominates, so that all later steps see what the upstream sees.
    `account` and `quote` are None where the route is public. `target` is the upstream's, `key` the cache key of the GET
    that the request is or stands for, `path` the upstream's path. `scope` is the share scope: "" for everyone, `o:` and
    an organization, `k:` and an account, or `p:` for the public, who gets nothing that a key or credentials were for.

    `demands` are the directives that the route heeds, None where there are none; `demanded_quote` is what the request
    may cost where they force work, None where that has no price of its own. `conditional` says that preconditions or a
    Range decide what of a response is sent, `ranged` that a Range does. `max_tokens` is the most it may cost, None
    where the request sets no bound.
    """

    request: Request
    route: Route
    params: dict[str, str]
    account: Account | None
    intent: Intent
    quote: Quote | None
    target: str
    path: str
    key: str
    scope: str
    demands: Demands | None = None
    demanded_quote: Quote | None = None
    conditional: bool = False
    ranged: bool = False
    max_tokens: int | None = None
    _groups: tuple[str, ...] | None = field(default=None, compare=False, repr=False)

    def for_request(self, request: Request) -> "Prepared":
        """The same for another request with the same head."""
        return self.elsewhere(request, self.account, self.params, self.target, self.path, self.key)

    def elsewhere(
        self, request: Request, account: Account | None, params: dict[str, str], target: str, path: str, key: str
    ) -> "Prepared":
        """The same for another request, which differs in its target and in who asks alone."""
        # By position: every hit from the memo asks, and `dataclasses.replace` takes several times as long.
        return Prepared(
            request,
            self.route,
            params,
            account,
            self.intent,
            self.quote,
            target,
            path,
            key,
            self.scope,
            self.demands,
            self.demanded_quote,
            self.conditional,
            self.ranged,
            self.max_tokens,
        )

    @property
    def tags(self) -> tuple[str, ...]:
        """The route's tags for this request, as far as path and query tell them."""
        cache = self.route.cache
        if cache is None or not cache.tags:
            return ()
        asking = [tag for tag in cache.tags if tag.parameters]
        return head_tags(cache.tags, self.params, self._keyed_query if asking else ())

    def memberships(self, named: Iterable[str] = (), told: Iterable[str] = ()) -> tuple[str, ...]:
        """Every group that what is stored for this belongs to; `named` are those that the response names.

        `told` are the tags that its content tells. By path and by name also across the scopes: what an unsafe request
        has changed is changed in all of them.
        """
        if named or told:
            return self._memberships(named, told)
        if self._groups is None:
            self._groups = self._memberships((), ())
        return self._groups

    def _memberships(self, named: Iterable[str], told: Iterable[str]) -> tuple[str, ...]:
        upstream, tags = self.route.upstream, (*self.tags, *told)
        in_scope = [group(upstream, name, self.scope) for name in tags or (self.path,)]
        in_all = [group(upstream, name) for name in (self.path, *tags, *named)]
        return tuple(dict.fromkeys([*in_scope, *in_all]))

    @property
    def reads_content(self) -> bool:
        """Whether the route has tags that only a response's content tells."""
        cache = self.route.cache
        return cache is not None and any(tag.reads_content for tag in cache.tags)

    def told_by(self, content: bytes) -> tuple[str, ...]:
        """The route's tags for a response with this content that only it can tell. Takes long for long content."""
        cache = self.route.cache
        return () if cache is None else content_tags(cache.tags, self.params, self._keyed_query, content)

    def told_before(self, groups: Iterable[str]) -> tuple[str, ...]:
        """The tags of a stored response that belongs to `groups`: who has it validated has its content unread."""
        in_scope = group(self.route.upstream, "", self.scope)
        names = [name.removeprefix(in_scope) for name in self.outdated(groups)]
        return tuple([name for name in names if name != self.path])

    def outdated(self, groups: Iterable[str]) -> tuple[str, ...]:
        """What a refresh that brought a response of these `groups` outdates together: those within its share scope.

        They go by its tags, else by path.
        """
        in_scope = group(self.route.upstream, "", self.scope)
        return tuple([name for name in groups if name.startswith(in_scope)])

    @property
    def _keyed_query(self) -> Query:
        """Without secrets and what makes no difference, so that whoever shares a stored response shares its tags."""
        target = self.key.split("\n", 3)[2:3]
        return canonical(target[0]).query if target else ()


def group(upstream: str, name: str, scope: str = "*") -> str:
    """The name of a group of stored responses: a tag or a path, within an upstream and a share scope, or all (`*`)."""
    return f"{upstream}\n{scope}\n{name}"


def is_of_tag(group: str) -> bool:
    """Whether that is the group of a tag, whatever the share scope; one that begins like a path counts as a path."""
    _, *named = group.split("\n", 2)
    return named[:1] == ["*"] and not named[-1].startswith("/")
