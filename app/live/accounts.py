"""Which account a session trades, and whether it may: real money needs to be asked for twice."""

from app.configuration.reading import Config
from core.errors import UsageError

PAPER = ("DU", "DF", "DI")
"""What the names of the broker's paper accounts begin with."""


def is_paper(account: str) -> bool:
    """Return whether an account's name is that of a paper account."""
    return account.upper().startswith(PAPER)


def account_for(config: Config, given: str | None) -> str:
    """Return the account to trade: `--account`, else `[ibkr] account`; raises `UsageError` if it may not be.

    A real account needs `[trading] mode = "live"` and `--account`; a paper account needs neither.
    """
    account = given or getattr(config.settings.ibkr, "account", "")
    mode = config.settings.trading.mode
    if not account:
        raise UsageError(
            "no account: name it with --account DU... (paper) or as [ibkr] account; "
            "next: tape check --connect shows which ones the login has"
        )
    if is_paper(account):
        if mode == "live":
            raise UsageError(
                f'account {account} is a paper account, but [trading] mode = "live": '
                f'name the real one with --account U..., or set mode = "paper"'
            )
        return account
    if mode != "live":
        raise UsageError(
            f"account {account} is no paper account (those begin with DU): real money is traded only with "
            f'[trading] mode = "live" in the configuration and --account {account}'
        )
    if given is None:
        raise UsageError(
            f"account {account} holds real money: say so on the command line too: --account {account}"
        )
    return account
