"""A house as two further libraries publish it: `hass-mqtt-things`, with a base topic and a Will, and
`homeassistant-mqtt-binding`, with a siren that is told in JSON and the Will of the process beside the state of each entity.

Every entity does as it is told. Says `ready` when all of them have told their state.
"""

import sys
import threading

from ha_mqtt.ha_device import HaDevice
from ha_mqtt.mqtt_device_base import MqttDeviceSettings
from ha_mqtt.mqtt_siren import MqttSiren
from ha_mqtt.mqtt_switch import MqttSwitch
from ha_mqtt.mqtt_thermometer import MqttThermometer
from ham import MqttManager
from ham.button import Button
from ham.fan import PercentageOptimisticFan
from ham.light import DimmableLight
from ham.number import OptimisticNumber
from paho.mqtt.client import Client, CallbackAPIVersion

PORT = int(sys.argv[1])


class Ventilation(PercentageOptimisticFan):
    name = "Ventilation"
    short_id = "fan"


class Lamp(DimmableLight):
    """Tells nothing back: what it was told is among the sensor's attributes."""

    name = "Hall"
    short_id = "hall"

    def callback(self, *, state, brightness=None):
        self.attributes = {"told": [state, brightness]}


class Delay(OptimisticNumber):
    name = "Delay"
    short_id = "delay"
    min = 0
    max = 10
    step = 1


class Bell(Button):
    name = "Bell"
    short_id = "bell"

    def callback(self):
        self.attributes = {"rung": True}


def house():
    fan, delay = Ventilation(), Delay()
    manager = MqttManager("127.0.0.1", PORT, node_id="house", base_topic="house/1", unique_identifier="1")
    manager.add_things([fan, Lamp(), delay, Bell()])
    connected = manager.client.on_connect

    def told(*arguments):
        connected(*arguments)
        fan.speed = 40
        delay.state = 3
        ready.release()

    manager.client.on_connect = told
    manager.run()


def cellar():
    client = Client(CallbackAPIVersion.VERSION2, "cellar")
    client.will_set("cellar/online", "offline", retain=True)
    client.connect("127.0.0.1", PORT)
    client.loop_start()
    device = HaDevice("Cellar", "cellar-1")

    def settings(name):
        return MqttDeviceSettings(name, f"cellar-{name}".lower(), client, device, will_topic="cellar/online")

    thermometer = MqttThermometer(settings("Wine"))
    siren = MqttSiren(settings("Siren"))
    light = MqttSwitch(settings("Light"))
    light.callback_on = light.set_on
    light.callback_off = light.set_off
    for entity in (thermometer, siren, light):
        entity.start()
    thermometer.update_state(12.5)
    ready.release()
    return client


ready = threading.Semaphore(0)
threading.Thread(target=house, daemon=True).start()
kept = cellar()
for _ in range(2):
    ready.acquire()
print("ready", flush=True)
threading.Event().wait()
