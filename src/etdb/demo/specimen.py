"""The twelve datasets of the simulated lab: what, when, and how it was seen.

Species and taxonomy ids are real and have the feature shown; everything else
is made up, and every text says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from etdb.demo import drawing
from etdb.demo.phantom import Phantom
from etdb.demo.project import Exposure


@dataclass(frozen=True)
class Species:
    """An organism by name and NCBI taxonomy id."""

    name: str
    taxid: int


@dataclass(frozen=True)
class Specimen:
    """One dataset: what is drawn, and how the simulated microscope sees it."""

    sid: str
    species: Species
    feature: str
    """Completes "<species> with …"; without its article, a tag."""
    description: str
    draw: Callable[[Phantom], None]
    taken: date
    exposure: Exposure


def _tilts(maximum: float, step: float) -> tuple[float, ...]:
    count = round(2 * maximum / step) + 1
    return tuple(index * step - maximum for index in range(count))


SPECIMENS = (
    Specimen(
        "syn2024-03-12-1",
        Species("Vibrio cholerae", 666),
        "a sheathed polar flagellum",
        "A motor in the envelope turns one flagellum, which the outer membrane"
        " covers like a sleeve.",
        drawing.draw_sheathed_flagellum,
        date(2024, 3, 12),
        Exposure(_tilts(60, 3), 20.0, -8.0, 140, 300),
    ),
    Specimen(
        "syn2024-05-07-1",
        Species("Caulobacter vibrioides", 155892),
        "an S-layer and a stalk",
        "A lattice of protein, the S-layer, covers cell and stalk; inside lies a"
        " storage granule.",
        drawing.draw_s_layer,
        date(2024, 5, 7),
        Exposure(_tilts(57, 3), 20.0, -10.0, 120, 300),
    ),
    Specimen(
        "syn2024-06-19-2",
        Species("Magnetospirillum magneticum", 84159),
        "a magnetosome chain",
        "Crystals of magnetite, each in a vesicle of its own, form the needle of"
        " a compass.",
        drawing.draw_magnetosomes,
        date(2024, 6, 19),
        Exposure(_tilts(60, 3), 22.0, -9.0, 110, 300),
    ),
    Specimen(
        "syn2024-09-03-1",
        Species("Salmonella enterica", 28901),
        "a chemoreceptor array",
        "Receptors stand in rows between the inner membrane and a base plate at"
        " the pole of the cell: its nose.",
        drawing.draw_chemoreceptors,
        date(2024, 9, 3),
        Exposure(_tilts(60, 3), 18.0, -6.0, 160, 300),
    ),
    Specimen(
        "syn2024-11-21-1",
        Species("Halothiobacillus neapolitanus", 927),
        "carboxysomes",
        "Polyhedra of protein, packed with the enzyme that fixes carbon dioxide.",
        drawing.draw_carboxysomes,
        date(2024, 11, 21),
        Exposure(_tilts(63, 3), 20.0, -8.0, 130, 300),
    ),
    Specimen(
        "syn2025-01-15-3",
        Species("Halobacterium salinarum", 2242),
        "gas vesicles",
        "An archaeon with a single membrane under an S-layer. Its gas vesicles are"
        " brighter than ice: there is less in them than in water.",
        drawing.draw_gas_vesicles,
        date(2025, 1, 15),
        Exposure(_tilts(54, 3), 20.0, -8.0, 100, 200),
    ),
    Specimen(
        "syn2025-03-04-1",
        Species("Myxococcus xanthus", 34),
        "type IV pili",
        "Pili reach out from machines in both membranes; pulling them in, the cell"
        " crawls.",
        drawing.draw_pili,
        date(2025, 3, 4),
        Exposure(_tilts(60, 3), 20.0, -10.0, 180, 300),
    ),
    Specimen(
        "syn2025-05-28-1",
        Species("Bacillus subtilis", 1423),
        "a forespore",
        "A mother cell with a thick wall has engulfed a forespore: two membranes,"
        " cortex and coat around a core.",
        drawing.draw_spore,
        date(2025, 5, 28),
        Exposure(_tilts(60, 2.5), 22.0, -8.0, 150, 300),
    ),
    Specimen(
        "syn2025-08-11-2",
        Species("Cupriavidus necator", 106590),
        "storage granules",
        "Smooth, light granules of polyester fill the cell: carbon for hard times."
        " The small dark ones are polyphosphate.",
        drawing.draw_storage_granules,
        date(2025, 8, 11),
        Exposure(_tilts(60, 3), 24.0, -12.0, 90, 200),
    ),
    Specimen(
        "syn2025-10-02-1",
        Species("Borreliella burgdorferi", 139),
        "periplasmic flagella",
        "The flagella run inside the envelope, between the membranes, and bend the"
        " whole cell into a wave.",
        drawing.draw_periplasmic_flagella,
        date(2025, 10, 2),
        Exposure(_tilts(60, 3), 20.0, -7.0, 120, 300),
    ),
    Specimen(
        "syn2025-12-09-1",
        Species("Shewanella oneidensis", 70863),
        "outer-membrane vesicles",
        "The outer membrane sheds vesicles, single or like beads on a string.",
        drawing.draw_vesicles,
        date(2025, 12, 9),
        Exposure(_tilts(51, 3), 20.0, -9.0, 80, 120),
    ),
    Specimen(
        "syn2026-02-17-1",
        Species("Escherichia coli", 562),
        "bacteriophages on a minicell",
        "A minicell, small and round, with phages landed on it: dark heads are full"
        " of DNA, pale ones have let it go.",
        drawing.draw_phages,
        date(2026, 2, 17),
        Exposure(_tilts(60, 3), 20.0, -8.0, 120, 300),
    ),
)
