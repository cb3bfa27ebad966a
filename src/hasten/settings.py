"""Settings: read once, frozen, and every one of them in this table.

Owns names, defaults and where a value comes from: a flag, then ``HASTEN_*``,
then ``.env``, then ``hasten.toml``, then the default. Leaves switches that
change while running to rollouts. Read by ``wire`` and above only.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from hasten.clock import Clock, current_clock
from hasten.errors import InvalidInput, SettingsError

TOML_FILE = "hasten.toml"

MAX_SPEED = 1_000.0
"""The fastest pace of a simulated run on the real clock."""


def _named(name: str) -> AliasChoices:
    """Read a setting as our variable, else as the one everybody knows, which is its own name."""
    return AliasChoices(f"HASTEN_{name.upper()}", name)


class UpstreamSettings(BaseModel):
    """One ``[[upstreams]]`` of the gateway: where models are asked, and which.

    ``models`` are names or patterns of them; without any it is asked for what no
    other upstream names. ``api_key_env`` is the variable its key is in. Of several that
    have a model, each gets a share of the calls by its ``weight``. The seconds bound a
    connection, the silence between two reads, and a whole call. Embeddings asked for
    within ``embed_window_s`` go out in one request; by default each goes untouched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    protocol: Literal["openai", "anthropic", "gemini", "simulated"] = "openai"
    base_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    api_key_env: str = ""
    models: tuple[str, ...] = ()
    weight: float = Field(default=1.0, gt=0, le=1_000)
    connect_s: float = Field(default=10.0, gt=0)
    read_s: float = Field(default=300.0, gt=0)
    total_s: float = Field(default=900.0, gt=0)
    embed_window_s: float = Field(default=0.0, ge=0, le=1)


class PriceSettings(BaseModel):
    """One model's price in US dollars per million tokens, as in ``model.price.Price``.

    What the provider's prompt cache has costs as much as any other token unless it is said.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    in_usd: float = Field(ge=0)
    out_usd: float = Field(ge=0)
    cached_in_usd: float | None = Field(default=None, ge=0)
    write_in_usd: float | None = Field(default=None, ge=0)
    long_write_in_usd: float | None = Field(default=None, ge=0)


class Settings(BaseSettings):
    """What can be set. Paths are relative to where the process was started."""

    model_config = SettingsConfigDict(
        env_prefix="HASTEN_",
        env_file=".env",
        toml_file=TOML_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    home: Path = Field(Path(".hasten"), description="Folder that holds all state.")
    host: str = Field("127.0.0.1", description="Address the server binds.")
    port: int = Field(8000, ge=0, le=65535, description="Port the server binds; 0 picks one.")
    workers: int = Field(
        1, ge=1, le=256, description="Processes that serve; they share state folder and port."
    )
    database_url: str = Field(
        "",
        validation_alias=_named("database_url"),
        description=(
            "Where runs, keys and reruns are kept, and what servers share without a Redis, if it "
            "is a PostgreSQL; empty means SQLite in the home folder."
        ),
    )
    redis_url: str = Field(
        "",
        validation_alias=_named("redis_url"),
        description="Redis or Valkey shared by several servers; empty means none.",
    )
    cache_memory_bytes: int = Field(
        100 << 20, ge=1 << 16, description="What the cache holds in memory at most."
    )
    cache_disk_bytes: int = Field(
        10 << 30, ge=1 << 20, description="What the cache holds on disk at most."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", validation_alias=_named("log_level"), description="What the log lines start at."
    )
    model: str = Field(
        "",
        description=(
            "Model to ask: a name, or `anthropic/`, `gemini/` or `responses/` and a name; "
            "empty means the simulated one."
        ),
    )
    openai_base_url: str = Field(
        "https://api.openai.com/v1",
        validation_alias=_named("openai_base_url"),
        description="An OpenAI-compatible endpoint.",
    )
    openai_api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=_named("openai_api_key"),
        description="Its key.",
    )
    anthropic_base_url: str = Field(
        "https://api.anthropic.com",
        validation_alias=_named("anthropic_base_url"),
        description="Where anthropic/… is asked, and the gateway's upstream for claude-*.",
    )
    anthropic_api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=_named("anthropic_api_key"),
        description="Its key.",
    )
    gemini_base_url: str = Field(
        "https://generativelanguage.googleapis.com/v1beta",
        validation_alias=_named("gemini_base_url"),
        description="Where gemini/… is asked, and the gateway's upstream for gemini-*.",
    )
    gemini_api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=_named("gemini_api_key"),
        description="Its key.",
    )
    upstreams: tuple[UpstreamSettings, ...] = Field(
        (), description="The gateway's upstreams, in place of those the keys above make."
    )
    gateway_ttl_s: float = Field(
        1_800.0, gt=0, description="How long an answer of the gateway is fresh."
    )
    prices: dict[str, PriceSettings] = Field(
        {},
        description=(
            "US dollars per million tokens, by model, in place of the listed prices and beside "
            "them."
        ),
    )
    model_concurrency: int = Field(
        16, ge=1, description="Calls to a real endpoint that may be under way at once."
    )
    record_prompts: bool = Field(
        default=False,
        description="Keep the text of prompts in traces, for `hasten prompts analyze`.",
    )
    speed: float = Field(
        1.0,
        gt=0,
        le=MAX_SPEED,
        description="Pace of the clock for simulated runs on the real clock.",
    )
    stream_pace: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="Characters a second at which an answer kept whole is streamed; 0: at once.",
    )
    alert_webhook_url: str = Field(
        "", description="Where alerts are posted as they begin and end; empty means nowhere."
    )
    alert_webhook_secret: SecretStr = Field(
        SecretStr(""), description="What those posts are signed with (Standard Webhooks)."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Host names the server answers to besides its own, with commas between.",
    )
    max_body_bytes: int = Field(
        8 << 20, ge=1_024, description="Largest request body the server reads."
    )
    durability: Literal["process", "power"] = Field(
        "process",
        description="What a write to SQLite survives: a killed process, or power loss too.",
    )
    job_concurrency: int = Field(
        64, ge=0, description="Jobs at once in a server or worker; 0 leaves them to others."
    )
    jobs_per_app: int = Field(
        0, ge=0, description="Jobs of one application at once, over all workers; 0 is any number."
    )
    job_lease_s: float = Field(
        15.0, ge=1, description="A worker of another machine silent for so long has lost its jobs."
    )
    drain_s: float = Field(
        5.0,
        ge=0,
        description="How long a stopping worker lets its jobs end before giving them back.",
    )
    warm_usd_a_day: float = Field(
        1.0,
        ge=0,
        description="What cron's jobs and those for changed data may cost in 24 hours together.",
    )
    retention_days: float = Field(30.0, gt=0, description="Runs older than this are dropped.")
    max_disk_bytes: int = Field(
        1 << 30, ge=1 << 20, description="Runs are dropped, oldest first, above this size."
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Part names written in one line."""
        if not isinstance(value, str):
            return value
        return tuple(name.strip() for name in value.split(",") if name.strip())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - its parameter, unused
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: flags, environment, ``.env``, ``hasten.toml``."""
        toml = TomlConfigSettingsSource(settings_cls)
        return init_settings, env_settings, dotenv_settings, toml

    @property
    def runs_url(self) -> str:
        """The database in use: ``database_url``, or SQLite in the home folder."""
        return self.database_url or f"sqlite:///{self.home / 'hasten.db'}"

    @property
    def is_simulated(self) -> bool:
        """Whether the simulated model answers."""
        return not self.model

    def clock(self, speed: float | None = None) -> Clock:
        """Return the clock a run at ``speed`` has, or at the speed set. Raises ``InvalidInput``."""
        speed = self.speed if speed is None else speed
        if not 0 < speed <= MAX_SPEED:
            message = f"speed is above 0 and at most {MAX_SPEED:g}, not {speed:g}"
            raise InvalidInput(message, field="speed", value=speed)
        if speed == 1:
            return current_clock()
        if not self.is_simulated:
            message = f"speed {speed:g} needs the simulated model; a real one runs at speed 1"
            raise InvalidInput(message, field="speed", value=speed, allowed=["1"])
        return Clock(speed)


def load_settings(**flags: Any) -> Settings:
    """Read the settings; flags that are ``None`` were not given.

    Raises ``SettingsError`` naming the setting, its value and what is allowed.
    """
    _check_toml()
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        message = f"setting {name!r} is {first.get('input')!r}: {first['msg']}"
        raise SettingsError(message) from None
    if settings.alert_webhook_url and not settings.alert_webhook_secret.get_secret_value():
        message = "alert_webhook_url needs alert_webhook_secret: an unsigned post could be anyone's"
        raise SettingsError(message)
    if settings.speed != 1 and not settings.is_simulated:
        message = f"speed {settings.speed:g} needs the simulated model; {settings.model!r} is real"
        raise SettingsError(message)
    return settings


def _check_toml() -> None:
    """Refuse names in ``hasten.toml`` that no setting has: a typo must not pass in silence."""
    path = Path(TOML_FILE)
    if not path.is_file():
        return
    try:
        names = set(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{TOML_FILE} cannot be read: {error}"
        raise SettingsError(message) from None
    unknown = sorted(names - set(Settings.model_fields))
    if unknown:
        known = ", ".join(sorted(Settings.model_fields))
        message = f"{TOML_FILE}: unknown settings {unknown}; there are {known}"
        raise SettingsError(message)
