"""Rollouts: a release on its way through the fleet, stage by stage.

`spec` says what may be asked for, `terms` what is spoken of. `engine` decides, with `verdict` on devices, `gates`
on a stage, `trials` on a release beside the one that serves, and `parts` for who stands where: all of them are pure.
`eligible` says who may take part and why not, `facts` what is known of them. `service` reads rows, asks the engine and
does what it says in one transaction, through `store`; `preview` only looks.
"""
