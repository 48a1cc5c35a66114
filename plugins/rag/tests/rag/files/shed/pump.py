"""Drives the irrigation pump."""

import time

DRY_SECONDS_MAX = 10


def start(pump, valve):
    """Opens the valve and starts the pump."""
    valve.open()

    while not valve.is_open():
        time.sleep(0.1)
    pump.on()


class PressureSensor:
    """Reads the pressure in bar."""

    def __init__(self, channel):
        self.channel = channel

    def read(self):
        raw = self.channel.value()

        # Two volts are zero bar.
        return (raw - 2.0) * 2.5
