"""A workshop as `ha-mqtt-discoverable` publishes it, a library that neither knows this page nor was written for it.

Every entity has a connection of its own and does as it is told. Says `ready` when all of them have told their state.
"""

import json
import signal
import sys
import threading

from ha_mqtt_discoverable import DeviceInfo, Settings
from ha_mqtt_discoverable.sensors import (
    BinarySensor,
    BinarySensorInfo,
    Button,
    ButtonInfo,
    Camera,
    CameraInfo,
    Cover,
    CoverInfo,
    DeviceTrigger,
    DeviceTriggerInfo,
    Light,
    LightInfo,
    Lock,
    LockInfo,
    Number,
    NumberInfo,
    Select,
    SelectInfo,
    Sensor,
    SensorInfo,
    Switch,
    SwitchInfo,
    Text,
    TextInfo,
    Valve,
    ValveInfo,
)

BROKER = Settings.MQTT(host="127.0.0.1", port=int(sys.argv[1]))
WORKSHOP = DeviceInfo(
    name="Workshop",
    identifiers="workshop-1",
    manufacturer="Somebody",
    model="Bench",
    sw_version="3.1",
    suggested_area="Shed",
)


def settings(info, **more):
    return Settings(mqtt=BROKER, entity=info, **more)


def about(name):
    return {"name": name, "device": WORKSHOP, "unique_id": f"workshop-{name.lower().replace(' ', '-')}"}


def told(act):
    """Calls `act` with the text of each command."""
    return lambda client, user_data, message: act(message.payload.decode())


def light_told(text):
    wanted = json.loads(text)
    if "effect" in wanted:
        light.effect(wanted["effect"])
    elif "brightness" in wanted:
        light.brightness(wanted["brightness"])
    elif wanted["state"] == "ON":
        light.on()
    else:
        light.off()


def cover_told(text):
    {"OPEN": cover.open, "CLOSE": cover.closed, "STOP": cover.stopped}[text]()


def pressed(_):
    sensor.set_state(99.5)


sensor = Sensor(
    settings(
        SensorInfo(device_class="temperature", unit_of_measurement="°C", state_class="measurement", **about("Temperature")),
        manual_availability=True,
    ),
    retain=True,
)
counted = Sensor(
    settings(
        SensorInfo(unit_of_measurement="kWh", value_template="{{ (value_json.state | float / 1000) | round(2) }}", **about("Energy"))
    ),
    retain=True,
)
motion = BinarySensor(settings(BinarySensorInfo(device_class="motion", **about("Motion"))), retain=True)
switch = Switch(
    settings(SwitchInfo(**about("Fan"))),
    told(lambda text: switch.on() if text == "ON" else switch.off()),
    retain=True,
)
light = Light(
    settings(
        LightInfo(
            brightness=True,
            color_mode=True,
            supported_color_modes=["rgb"],
            effect=True,
            effect_list=["rainbow", "blink"],
            **about("Lamp"),
        )
    ),
    told(light_told),
    retain=True,
)
number = Number(
    settings(NumberInfo(min=0, max=50, step=0.5, unit_of_measurement="s", **about("Delay"))),
    told(lambda text: number.set_value(float(text))),
    retain=True,
)
select = Select(
    settings(SelectInfo(options=["calm", "wild"], **about("Mood"))),
    told(lambda text: select.select_option(text)),
    retain=True,
)
text = Text(settings(TextInfo(max=20, **about("Note"))), told(lambda words: text.set_text(words)), retain=True)
button = Button(settings(ButtonInfo(**about("Test"))), told(pressed))
cover = Cover(settings(CoverInfo(**about("Door"))), told(cover_told), retain=True)
lock = Lock(
    settings(LockInfo(**about("Latch"))),
    told(lambda text: lock.locked() if text == "LOCK" else lock.unlocked()),
    retain=True,
)
valve = Valve(
    settings(
        ValveInfo(
            reports_position=True,
            payload_open=None,
            payload_close=None,
            state_open=None,
            state_closed=None,
            **about("Water"),
        )
    ),
    told(lambda text: valve.position(int(text))),
    retain=True,
)
camera = Camera(settings(CameraInfo(topic="workshop/picture", **about("Eye"))))
trigger = DeviceTrigger(settings(DeviceTriggerInfo(type="button_short_press", subtype="button_1", **about("Bell"))))

for silent in (button, camera, trigger):
    silent.write_config()
sensor.set_availability(True)
sensor.set_state(21.5)
counted.set_state(12345, last_reset="2026-01-01T00:00:00")
motion.on()
switch.off()
light.off()
number.set_value(2.5)
select.select_option("calm")
text.set_text("hello")
cover.closed()
lock.locked()
valve.position(30)
print("ready", flush=True)

stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())
stopping.wait()
