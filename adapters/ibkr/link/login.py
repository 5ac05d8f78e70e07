"""Which account of a login a session trades, and why it may be none. Pure.

Paper accounts have ids that begin with D; the port proves nothing. A session is for one account of one kind:
anything else is refused before a single order can leave.
"""

from collections.abc import Sequence

from adapters.ibkr.link.link_settings import LinkSettings
from core.errors import AccountRefused


def account_of(settings: LinkSettings, managed: Sequence[str]) -> str:
    """Return the account to trade; raises `AccountRefused` with what to do."""
    place = f"{settings.host}:{settings.port}"
    account = settings.account or (managed[0] if len(managed) == 1 else "")
    if account not in managed:
        raise AccountRefused(
            f"{place}: account {settings.account or '(none given)'}: this login has "
            f"{', '.join(managed) or 'no account'}; give one of them with --account or as [ibkr] account, or "
            "log in to TWS or IB Gateway as another user"
        )
    if settings.expects == "paper" and not is_paper(account):
        raise AccountRefused(
            f"{place}: {account} is an account with real money, and this session is for a paper account; log "
            'in to paper trading, or set [trading] mode = "live" and give --account to mean it'
        )
    if settings.expects == "real" and is_paper(account):
        raise AccountRefused(
            f"{place}: {account} is a paper account, and this session is for one with real money; log in to "
            'live trading, or leave out [trading] mode = "live"'
        )
    return account


def is_paper(account: str) -> bool:
    """Return whether an account id is one of a paper account."""
    return account.startswith("D")
