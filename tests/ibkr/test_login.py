"""Which account a session trades: never another one, never one of another kind."""

import pytest

from adapters.ibkr.link.link_settings import LinkSettings
from adapters.ibkr.link.login import account_of
from core.errors import AccountRefused, ExitCode


def account(managed, **settings):
    return account_of(LinkSettings(**settings), managed)


def test_the_only_account_of_a_login_is_taken():
    assert account(["DU1"]) == "DU1"


@pytest.mark.parametrize(
    ("managed", "settings", "said"),
    [
        (["DU1", "DU2"], {}, r"\(none given\): this login has DU1, DU2; give one of them with --account"),
        (["DU1"], {"account": "DU2"}, r"account DU2: this login has DU1"),
        (["DU1"], {"account": "DU"}, r"account DU: this login has DU1"),
        ([], {"account": "DU1"}, "this login has no account"),
        (["U1"], {}, "U1 is an account with real money, and this session is for a paper account"),
        (["U1"], {"account": "U1"}, "real money"),
        (["DU1"], {"expects": "real"}, "DU1 is a paper account, and this session is for one with real money"),
    ],
)
def test_anything_else_is_refused_with_what_to_do(managed, settings, said):
    with pytest.raises(AccountRefused, match=said) as caught:
        account(managed, **settings)
    assert caught.value.exit_code is ExitCode.USAGE
    assert str(caught.value).startswith("127.0.0.1:7497: ")


def test_real_money_is_traded_when_it_is_meant():
    assert account(["U1", "U2"], account="U2", expects="real") == "U2"
