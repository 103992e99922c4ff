"""HTTP for visitors: pages, API and gateway."""
