"""What every section of the settings has in common."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Rate = Literal["auto"] | PositiveFloat


class Section(BaseModel):
    """Base of the sections: frozen, unknown keys refused, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)
