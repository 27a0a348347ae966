"""`python -m demo`: stays up until Ctrl-C; `--once` leaves after the checks, with exit status 0 only if all hold."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from demo.api import ApiError
from demo.board import BoardError
from demo.fleet import NotInTimeError
from demo.programs import COMMANDS, ProgramError
from demo.screen import claims_table
from demo.story import Story


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description="a whole fleet on this machine")
    parser.add_argument("--once", action="store_true", help="check every claim and leave")
    parser.add_argument("--soak-hours", type=float, metavar="HOURS", help="roll two releases out in turn for so long")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dunlin-demo-") as directory:
        story = Story(Path(directory))
        try:
            with story.screen:
                story.tell() if options.soak_hours is None else story.soak(options.soak_hours)
            _show(story, time.monotonic() - started)
            if not options.once and options.soak_hours is None:
                _stay(story)
        except KeyboardInterrupt:
            return 0 if story.told else 130
        except (ProgramError, NotInTimeError, ApiError, BoardError) as error:
            print(f"demo: {error}", file=sys.stderr)
        finally:
            story.stop()
    print(f"{'demo' if options.soak_hours is None else 'soak'}: {'PASS' if story.holds else 'FAIL'}")
    return 0 if story.holds else 1


def _show(story: Story, seconds: float) -> None:
    story.screen.console.print(claims_table(story.claims))
    for note in story.notes:
        story.screen.say(note)
    story.screen.say(f"told and checked in {seconds:.0f} s")


def _stay(story: Story) -> None:
    fleet = story.fleet
    story.screen.say(f"\n[bold]dashboard[/bold]  {fleet.url}  user demo  password {fleet.password}")
    sign = f"{COMMANDS / 'packager'} wipe sign {fleet.url}/wipes/NUMBER --token-file {fleet.token_file} --key"
    story.screen.say("to sign a wipe that you draft there, as its two owners:")
    for owner in ("ops-1", "ops-2"):
        story.screen.say(f"  {sign} {fleet.keys_dir / owner}.pem")
    story.screen.say("Ctrl-C ends everything and removes its files")
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())
