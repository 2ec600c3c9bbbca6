from pathlib import Path

import pytest

from serve.settings import SettingsError, read_settings


def test_settings_come_from_the_environment() -> None:
    settings = read_settings(
        {"RUTHAN_MAX_BATCH": "7", "RUTHAN_MODEL": "/m", "RUTHAN_CORS_ORIGINS": "https://a, https://b"}
    )
    assert (settings.max_batch, str(settings.model), settings.max_text_length) == (7, "/m", 20_000)
    assert settings.cors_origins == ["https://a", "https://b"]


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "๕"])
def test_a_setting_that_is_no_number_is_named(value: str) -> None:
    with pytest.raises(SettingsError, match="RUTHAN_MAX_BATCH is"):
        read_settings({"RUTHAN_MAX_BATCH": value})


def test_the_environment_goes_before_the_file_and_what_is_given_before_both(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("max_batch: 5\nport: 9000\nhost: 127.0.0.2\ncors_origins: [https://a]\n")
    settings = read_settings({"RUTHAN_SETTINGS": str(file), "RUTHAN_PORT": "9001"}, host="127.0.0.3", workers=None)
    assert (settings.max_batch, settings.port, settings.host, settings.workers) == (5, 9001, "127.0.0.3", 1)
    assert settings.cors_origins == ["https://a"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("max_batch: many", r"settings.yaml: max_batch is 'many': "),
        ("maxbatch: 5", r"no setting 'maxbatch'"),
        ("- 5", "must be lines of `name: value`"),
        ("5: 5", "must be lines of `name: value`"),
        ("a: [", "not valid YAML"),
        ("\x00", "not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_on_one_line(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(content)
    with pytest.raises(SettingsError, match=told) as error:
        read_settings({"RUTHAN_SETTINGS": str(file)})
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_is_named() -> None:
    with pytest.raises(SettingsError, match="cannot read the settings /nowhere"):
        read_settings({"RUTHAN_SETTINGS": "/nowhere"})


def test_an_empty_file_and_empty_variables_change_nothing(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("")
    assert read_settings({"RUTHAN_SETTINGS": str(file), "RUTHAN_MAX_BATCH": ""}) == read_settings({})


def test_secrets_are_not_shown() -> None:
    settings = read_settings(
        {
            "RUTHAN_DATABASE_URL": "postgresql+psycopg://u:hushhush@h/d",
            "RUTHAN_LINE_CHANNEL_SECRET": "hushhush",
            "RUTHAN_LINE_CHANNEL_TOKEN": "hushhush",
        }
    )
    assert "hushhush" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.database == "postgresql+psycopg://u:hushhush@h/d"
    with pytest.raises(SettingsError, match="go together"):
        read_settings({"RUTHAN_LINE_CHANNEL_SECRET": "hushhush"})


@pytest.mark.parametrize(
    "content", ["line_channel_token: abc: hushhush", "line_channel_secret: @hushhush", "a: 'hushhush"]
)
def test_a_file_with_a_fault_is_not_quoted(tmp_path: Path, content: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f"port: 5\n{content}\n")
    with pytest.raises(SettingsError, match=r"line [23], column \d+") as error:
        read_settings({"RUTHAN_SETTINGS": str(file)})
    assert "hushhush" not in str(error.value)


def test_a_password_with_an_at_sign_is_told_of_and_not_printed() -> None:
    with pytest.raises(SettingsError, match="%40") as error:
        read_settings({"RUTHAN_DATABASE_URL": "postgresql+psycopg://ruthan:pa@ss-hushhush@host/ruthan"})
    assert "hushhush" not in str(error.value)
    file = "sqlite:////home/a@b/c@d.sqlite"
    assert read_settings({"RUTHAN_DATABASE_URL": file}).database == file


def test_proxies_are_addresses_or_networks() -> None:
    for right in ("*", "10.0.0.1", "10.0.0.0/8, ::1", ""):
        assert read_settings({"RUTHAN_TRUSTED_PROXIES": right}).trusted_proxies == right
    for wrong in ("10.0.0.1/8", "balancer", "10.0.0"):
        with pytest.raises(SettingsError, match="RUTHAN_TRUSTED_PROXIES is"):
            read_settings({"RUTHAN_TRUSTED_PROXIES": wrong})
