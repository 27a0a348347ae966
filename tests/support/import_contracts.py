"""An import-linter contract that names what a package may import, where the built-in ones name what it may not."""

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class ImportsOnly(Contract):
    """`package` may import itself, the standard library and the top-level packages in `allowed`."""

    package = fields.ModuleField()
    allowed = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        root = self.package.name
        free = {root, *sys.stdlib_module_names, *self.allowed}
        offenders = sorted(
            (module, imported)
            for module in {root, *graph.find_descendants(root)}
            for imported in graph.find_modules_directly_imported_by(module)
            if imported.split(".")[0] not in free
        )
        return ContractCheck(kept=not offenders, metadata={"offenders": offenders})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for module, imported in check.metadata["offenders"]:
            output.print_error(f"{module} imports {imported}")
