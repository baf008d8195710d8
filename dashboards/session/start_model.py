"""`StartModel`: the reactive mirror of the form that starts a pipeline, for pages and notebooks. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import param

from dashboards.form_fields import default_values, fields_of, read_values, said_value, wrong_fields
from dashboards.session.base import Session
from dashboards.session.commands import CommandError, StartCommands, StartRefused
from dashboards.session.limit import LIMIT_FIELD, limit_field, read_limit
from dashboards.session.values import FormChange, PipelineSpec


class StartModel(Session):
    """The reactive mirror of the form that starts a pipeline."""

    pipelines = param.ClassSelector(class_=tuple, default=(), doc="The pipelines on offer (`PipelineSpec`).")
    chosen = param.String(default="", doc="The name of the pipeline that the form is for; empty: none yet.")
    values = param.Dict(default={}, doc="What the form is filled with, where it differs from the defaults.")
    typed = param.Dict(default={}, doc="The fields as they were sent last; empty: nobody sent the form yet.")
    errors = param.Dict(default={}, doc="What is wrong, by the name of the parameter.")
    changed_schema = param.Dict(
        default={},
        doc="The schema with the choices and bounds that hold for the values; empty: the pipeline's.",
    )
    renewed = param.Dict(
        default={},
        doc="By the name of a field the number of the change that set it; what was typed there is gone.",
    )
    said = param.Dict(
        default={}, doc="By the name of a field that was changed what the change did, in words."
    )
    asking = param.String(default="", doc="The field whose change the pipeline's code is answering.")
    usual = param.String(
        default="", doc="How long such a run takes, in words, from earlier ones; empty: not asked yet."
    )
    busy = param.Boolean(default=False, doc="Whether the run is being started.")
    run_id = param.String(default="", doc="The run that was started.")
    again = param.String(default="", doc="The run that is done again, of which the form has the values.")
    items: Any = param.Selector(
        default="all", objects=["all", "failed", "rest"], doc="The items of that run that are done again."
    )
    time_limit = param.Number(
        default=None,
        allow_None=True,
        doc="Seconds the run may take; None: as its pipeline says; 0: any time.",
    )

    def __init__(self, *, commands: StartCommands | None = None, **params: Any) -> None:
        params["pipelines"] = tuple(params.get("pipelines") or ())
        if not params.get("chosen") and params["pipelines"]:
            params["chosen"] = params["pipelines"][0].name
        #: Changes that wait for their turn: a field's name (empty: none), all fields, the last renewal that was seen.
        self._changes: list[tuple[str, Mapping[str, Any], int]] = []
        self._start_waits: tuple[Mapping[str, Any], int] | None = None
        self._number = 0
        self._asked_usual = 0
        super().__init__(commands=commands, **params)

    @property
    def pipeline(self) -> PipelineSpec | None:
        """The pipeline that the form is for."""
        return next((spec for spec in self.pipelines if spec.name == self.chosen), None)

    @property
    def schema(self) -> Mapping[str, Any]:
        """The schema of the form as it is now."""
        spec = self.pipeline
        return {} if spec is None else self.changed_schema or spec.schema

    def fields(self) -> list[dict[str, Any]]:
        """Return what the form shows of each parameter and of the time limit.

        ``renewed`` counts up where the field's content must replace what was typed.
        """
        spec = self.pipeline
        if spec is None:
            return []
        fields = [
            *fields_of(self.schema, self.values, self.typed),
            limit_field(spec, self.time_limit, self.typed),
        ]
        return [{**field, "renewed": self.renewed.get(field["name"], 0)} for field in fields]

    def choose(self, name: str) -> None:
        """Turn the form to another pipeline; unknown names are ignored."""
        if name != self.chosen and any(spec.name == name for spec in self.pipelines):
            self.update(
                chosen=name,
                values={},
                typed={},
                errors={},
                notice="",
                again="",
                items="all",
                time_limit=None,
                usual="",
                **_UNCHANGED,
            )
            self.run(self.ask)
            self.run(self.estimate)

    async def ask(self) -> None:
        """Ask which choices hold for the values that the form is filled with; the values stay."""
        spec = self.pipeline
        if spec is not None and default_values(spec.schema, watched=True):
            await self.change("", {})

    async def estimate(self, raw: Mapping[str, Any] | None = None, seen: int = 0) -> None:
        """Ask how long a run with these values takes. Values that are no values yet leave what was said.

        Args:
            raw: All fields as they are now, as `read_values` takes them; None: as the form is filled.
            seen: The number of the last change that the sender has seen answered.

        """
        spec = self.pipeline
        if spec is None or self.commands is None or self.run_id:
            return
        values: Mapping[str, Any] = self.values
        if raw is not None:
            raw = self._with_renewed(raw, seen)
            values, wrong = read_values(self.schema, raw, self.values)
            if wrong:
                return
        known = set(spec.schema.get("properties") or {})
        self._asked_usual += 1
        asked = self._asked_usual
        try:
            usual = await self.commands.usual(
                spec.name, {name: value for name, value in values.items() if name in known}
            )
        except CommandError:
            # Such as a value that the pipeline refuses. The start says why.
            return
        if asked == self._asked_usual and self.chosen == spec.name and not self.closed:
            self.update(usual=usual.words)

    async def change(self, name: str, raw: Mapping[str, Any], seen: int = 0) -> None:
        """Let the pipeline's code answer the change of a field: other values, other choices, other bounds.

        Args:
            name: The field that was changed; empty: ask for the choices, and set no value.
            raw: All fields as they are now, as `dashboards.form_fields.read_values` takes them.
            seen: The number of the last change that the sender has seen answered.
        """
        if self.busy or self.run_id or self.commands is None or self.pipeline is None:
            return
        self._changes.append((name, raw, seen))
        if len(self._changes) > 1:
            # The one that is being answered goes on with this one.
            return
        while self._changes:
            await self._answer(*self._changes[0])
            del self._changes[:1]
        waiting, self._start_waits = self._start_waits, None
        if waiting is None:
            return
        raw, seen = waiting
        if any(number > seen for number in self.renewed.values()):
            self.update(
                notice="Not started yet: fields changed meanwhile. Look at them, and start once more."
            )
        else:
            await self.submit(raw, seen)

    async def _answer(self, name: str, raw: Mapping[str, Any], seen: int) -> None:
        spec = self.pipeline
        if spec is None or self.commands is None:
            return
        raw = self._with_renewed(raw, seen)
        values, wrong = read_values(self.schema, raw, self.values)
        errors = {field: text for field, text in self.errors.items() if field != name}
        if name in wrong:
            self.update(errors=errors | {name: wrong[name]})
            return
        sent = {n: v for n, v in {**default_values(spec.schema), **values}.items() if n not in wrong}
        label = self._label(name)
        self.update(
            asking=name, errors=errors, said={name: (f"Asking what depends on {label}…",)} if name else {}
        )
        try:
            change = await self.commands.form(spec.name, sent, [name] if name else [])
        except CommandError as error:
            if self.chosen == spec.name:
                about = f"The fields that depend on {label}" if name else "The choices"
                self.update(asking="", said={name: (f"{about} could not be brought up to date: {error}.",)})
            return
        if self.chosen == spec.name:
            self._take(name, raw, sent, change)

    def _take(self, name: str, raw: Mapping[str, Any], sent: Mapping[str, Any], change: FormChange) -> None:
        """Show what a change did. A value that the form's reader chose stays where the pipeline's code left it."""
        old = {field["name"]: field for field in fields_of(self.schema, self.values)}
        known = change.schema.get("properties") or {}
        values = {n: v for n, v in change.values.items() if name and n in known and v != sent.get(n)}
        problems = {n: text for n, text in wrong_fields(change.problems).items() if n in known}
        now = {
            field["name"]: field
            for field in fields_of(change.schema, {**self.values, **sent, **change.values})
        }
        rearranged = {
            n for n, field in now.items() if n in old and field["choices"] != old[n]["choices"]
        } - values.keys()
        self._number += 1
        said = [
            f"{self._label(n)} set to {said_value(v)} because {self._label(name)} changed."
            for n, v in values.items()
        ]
        said += [
            f"{self._label(n)} has other choices because {self._label(name)} changed."
            for n in now
            if name and n in rearranged
        ]
        kept = {n: change.values[n] for n in rearranged if n in change.values and n in raw}
        gone = values.keys() | rearranged
        self.update(
            asking="",
            changed_schema=dict(change.schema),
            values={**self.values, **kept, **values},
            typed={n: v for n, v in {**self.typed, **raw}.items() if n not in gone},
            renewed=self.renewed | dict.fromkeys(gone if name else (), self._number),
            errors={n: text for n, text in self.errors.items() if n not in sent} | problems,
            said={name: tuple(said or (["No other field changed."] if name else []))},
        )

    def _with_renewed(self, raw: Mapping[str, Any], seen: int) -> dict[str, Any]:
        """Return the fields with those in their place that were set when they were on their way."""
        late = {name for name, number in self.renewed.items() if number > seen}
        shown = {
            field["name"]: None if field["none"] else field["value"]
            for field in (self.fields() if late else ())
            if field["name"] in late
        }
        return {str(name): value for name, value in raw.items()} | shown

    def _label(self, name: str) -> str:
        return next((field["label"] for field in fields_of(self.schema, {}) if field["name"] == name), name)

    async def submit(self, raw: Mapping[str, Any], seen: int = 0) -> None:
        """Start the run of a form that was sent; `errors` says what is wrong, the streamer's findings included.

        Args:
            raw: All fields, as `dashboards.form_fields.read_values` takes them.
            seen: The number of the last change that the sender has seen answered.
        """
        spec = self.pipeline
        if self.busy or self.run_id or spec is None:
            return
        if self._changes:
            self._start_waits = raw, seen
            return
        raw = self._with_renewed(raw, seen)
        values, errors = read_values(self.schema, raw, self.values)
        limit, wrong = read_limit(raw.get(LIMIT_FIELD))
        if wrong:
            errors[LIMIT_FIELD] = wrong
        if not errors:
            self.update(typed=raw)
            await self.start(values, time_limit_seconds=limit)
            return
        self.update(typed=raw, notice="", busy=True)
        found = await self._check(spec, {name: value for name, value in values.items() if name not in errors})
        if self.chosen == spec.name:
            self.update(errors=found | errors)
        self.update(busy=False)

    async def _check(self, spec: PipelineSpec, values: dict[str, Any]) -> dict[str, str]:
        """Return what the streamer finds wrong with the values that can be read."""
        known = set(spec.schema.get("properties") or {})
        if self.commands is None:
            return {}
        try:
            await self.commands.check(spec.name, values)
        except StartRefused as refused:
            return {name: text for name, text in refused.fields.items() if name in known}
        except CommandError:
            # Some mistakes are not known yet. The next start tells them.
            return {}
        return {}

    async def start(self, values: Mapping[str, Any], *, time_limit_seconds: float | None = None) -> None:
        """Start the chosen pipeline, once; `run_id` becomes the run's id, or `errors` and `notice` say what is wrong.

        Of a double click the second may come after the first was answered.

        Args:
            values: The values of the fields, by parameter.
            time_limit_seconds: Seconds the run may take; None: as its pipeline says; 0: any time.

        """
        spec = self.pipeline
        if self.busy or self.run_id or self.commands is None or spec is None:
            return
        known = set(spec.schema.get("properties") or {})
        parameters = {name: value for name, value in values.items() if name in known}
        self.update(busy=True, errors={}, notice="")
        how: dict[str, Any] = {"again": self.again, "time_limit_seconds": time_limit_seconds}
        if self.again and self.items != "all":
            how["items"] = self.items
        try:
            run_id = await self.commands.start(spec.name, parameters, **how)
        except StartRefused as refused:
            fields = {name: text for name, text in refused.fields.items() if name in known}
            self.update(busy=False, errors=fields, notice=str(refused))
        except CommandError as error:
            self.update(busy=False, notice=str(error))
        else:
            self.update(busy=False, run_id=run_id)


#: The form of a pipeline as it is declared.
_UNCHANGED: dict[str, Any] = {"changed_schema": {}, "renewed": {}, "said": {}, "asking": ""}
