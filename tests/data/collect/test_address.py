import socket

import pytest

from imgcls_ray.data.collect import address
from imgcls_ray.data.collect.address import may_be_asked, port_of, resolve, split_url
from imgcls_ray.data.collect.errors import Again, FetchError


@pytest.mark.parametrize(
    "ip", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public_addresses_may_be_asked(ip: str) -> None:
    assert may_be_asked(ip)


@pytest.mark.parametrize(
    "ip",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),  # noqa: S104 - none of them is bound
        *("255.255.255.255", "224.0.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1"),
        *("::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "::127.0.0.1"),
        *("::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "fec0::1", "4000::1", "2001:0:7f00:1::1", "2001:db8::1"),
        *("3fff::1", "240.0.0.1", "192.0.2.1", "192.0.0.8", "198.18.0.1", "168.63.129.16", "100.100.100.200"),
    ],
)
def test_others_may_not(ip: str) -> None:
    assert not may_be_asked(ip)


def test_an_address_is_made_ascii() -> None:
    parts = split_url(" HTTPS://Bücher.example:8443/ä b/c%20d?q=ö&x=1#part ")
    assert parts.geturl() == "https://xn--bcher-kva.example:8443/%C3%A4%20b/c%20d?q=%C3%B6&x=1"
    assert (parts.hostname, port_of(parts)) == ("xn--bcher-kva.example", 8443)
    assert port_of(split_url("http://[::1]")) == 80


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://host/a.jpg", "//host/a.jpg", "a.jpg", "", "http://", "http://ann:pw@host/a.jpg"),
        *(
            "http://host:99999/",
            "http://[::1/",
            "http://a b/",
            "http://a\r\nb/",
            "http://a/\ud800",
            "data:image/png;base64,AA",
        ),
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(FetchError, match="no http address") as raised:
        split_url(url)
    assert raised.value.again is Again.NEVER


def test_only_the_public_ones_of_several_addresses_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_args: object, **_kwargs: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", (ip, 80)) for ip in ("10.0.0.1", "1.1.1.1", "1.1.1.1")]

    monkeypatch.setattr(address.socket, "getaddrinfo", look_up)
    assert resolve("host.example", 80, allow_private=False) == ["1.1.1.1"]
    assert resolve("host.example", 80, allow_private=True) == ["10.0.0.1", "1.1.1.1"]


def test_an_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_args: object, **_kwargs: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(address.socket, "getaddrinfo", look_up)
    with pytest.raises(FetchError, match=r"unknown host \(none\.example\)"):
        resolve("none.example", 80, allow_private=False)
