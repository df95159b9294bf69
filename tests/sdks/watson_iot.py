"""Actions of `wiotp-sdk`."""

import threading

import wiotp.sdk.application
import wiotp.sdk.device
import wiotp.sdk.gateway

from actions import PATIENCE, address, delivered, perform

HOST, PORT = address()

client = None


def config(identity, auth, options=None):
    # This port turns TLS off, which no other can.
    mqtt = {"port": 1883, **(options or {})}
    return {"identity": identity, "auth": auth, "options": {"mqtt": mqtt}}


def identity(organization, type_id, device_id):
    return {"orgId": organization, "typeId": type_id, "deviceId": device_id}


def connect(new_client):
    global client
    client = new_client
    client._deviceMgmtRequestsPendingLock = threading.RLock()
    client.address, client.port = HOST, PORT
    client.connect()
    # Some subscribe to nothing by themselves.
    if client._subscriptions:
        client.subscriptionsAcknowledged.wait(PATIENCE)


def connect_device(organization, type_id, device_id, token, options=None):
    device = wiotp.sdk.device.DeviceClient(
        config(identity(organization, type_id, device_id), {"token": token}, options)
    )
    device.commandCallback = on_command
    connect(device)


def on_command(command):
    delivered("command", content(command, command.commandId))


def connect_managed(organization, type_id, device_id, token):
    device = wiotp.sdk.device.ManagedDeviceClient(
        config(identity(organization, type_id, device_id), {"token": token})
    )
    device.commandCallback = on_command
    device.deviceActionCallback = on_device_action
    device.firmwereActionCallback = lambda action, firmware: delivered(
        "firmware", {"action": action, "version": firmware.version, "uri": firmware.url}
    )
    device.dmeActionCallback = on_custom_action
    connect_to_be_managed(device)


def connect_to_be_managed(device):
    # It asks once for each subscription.
    asked = threading.Semaphore(0)
    manage = device.manage
    device.manage = lambda **arguments: (manage(**arguments), asked.release())[0]
    connect(device)
    for _ in device._subscriptions:
        asked.acquire(timeout=PATIENCE)
    device.readyForDeviceMgmt.wait(PATIENCE)


def on_device_action(request_id, action):
    delivered("device_action", action)
    # Not in the callback's thread, where the SDK could not publish.
    threading.Thread(
        target=client.respondDeviceAction, args=(request_id, 202, ""), name="respondDeviceAction"
    ).start()


def on_custom_action(topic, data, request_id):
    delivered("custom_action", {"topic": topic, "data": data.get("d")})
    return True


def connect_gateway(organization, type_id, device_id, token):
    gateway = wiotp.sdk.gateway.GatewayClient(
        config(identity(organization, type_id, device_id), {"token": token})
    )
    gateway.commandCallback = on_command
    gateway.deviceCommandCallback = lambda command: delivered(
        "device_command", content(command, command.commandId)
    )
    gateway.notificationCallback = lambda note: delivered("notification", note.data)
    connect(gateway)


def connect_managed_gateway(organization, type_id, device_id, token):
    gateway = wiotp.sdk.gateway.ManagedGatewayClient(
        config(identity(organization, type_id, device_id), {"token": token})
    )
    connect_to_be_managed(gateway)


def connect_application(application_id, key, token, options=None):
    application = wiotp.sdk.application.ApplicationClient(
        config({"appId": application_id}, {"key": key, "token": token}, options)
    )
    application.deviceEventCallback = lambda event: delivered(
        "event", {"device": event.device, **content(event, event.eventId)}
    )
    application.deviceCommandCallback = lambda command: delivered(
        "command", {"device": command.device, **content(command, command.commandId)}
    )
    application.deviceStatusCallback = lambda status: delivered("device_status", status_of(status))
    application.appStatusCallback = lambda status: delivered("application_status", vars_of(status))
    application.deviceStateCallback = lambda state: delivered(
        "device_state",
        {
            "device": state.device,
            "interface": state.logicalInterfaceId,
            "payload": state.payload.decode(),
        },
    )
    application.errorTopicCallback = lambda error: delivered(
        "device_error", {"device": error.source, "payload": error.payload.decode()}
    )
    connect(application)


def content(message, name):
    return {"name": name, "format": message.format, "data": message.data}


def status_of(status):
    return {
        "device": status.device,
        "action": status.action,
        "client_id": status.clientId,
        "close_code": status.closeCode,
        "read_bytes": status.readBytes,
    }


def vars_of(status):
    return {
        "action": status.action,
        "client_id": status.clientId,
        "application": status.applicationId if hasattr(status, "applicationId") else None,
    }


def raw(text):
    return text.encode()


def request(call):
    """Begins a request and waits for the response."""
    # The SDK notes a request after it was published: a response that is quicker would be dropped.
    with client._deviceMgmtRequestsPendingLock:
        event = call()
    return event.wait(PATIENCE) if event is not None else None


def settle():
    """Waits for what the SDK sends from threads of its own."""
    for thread in threading.enumerate():
        if thread.name in ("respondDeviceAction", "client.publish"):
            thread.join()


def event(name, message_format, data, qos=0):
    data = raw(data) if message_format == "raw" else data
    return client.publishEvent(name, message_format, data, qos)


ACTIONS = {
    "connect_device": connect_device,
    "connect_managed": connect_managed,
    "connect_gateway": connect_gateway,
    "connect_managed_gateway": connect_managed_gateway,
    "connect_application": connect_application,
    "event": event,
    "device_event": lambda type_id, device_id, name, message_format, data, qos=0: (
        client.publishDeviceEvent(type_id, device_id, name, message_format, data, qos)
    ),
    "application_event": lambda type_id, device_id, name, message_format, data, qos=0: (
        client.publishEvent(type_id, device_id, name, message_format, data, qos)
    ),
    "command": lambda type_id, device_id, name, message_format, data, qos=0: (
        client.publishCommand(type_id, device_id, name, message_format, data, qos)
    ),
    "manage": lambda arguments: request(lambda: client.manage(**arguments)),
    "unmanage": lambda: request(lambda: client.unmanage()),
    "location": lambda longitude, latitude, elevation=None, accuracy=None: request(
        lambda: client.setLocation(longitude, latitude, elevation, accuracy)
    ),
    "error_code": lambda code: request(lambda: client.setErrorCode(code)),
    "clear_error_codes": lambda: request(lambda: client.clearErrorCodes()),
    "log": lambda message, data, severity: request(
        lambda: client.addLog(message, data, severity)
    ),
    "clear_log": lambda: request(lambda: client.clearLog()),
    "property": lambda name, value: request(lambda: client.setProperty(name, value)),
    "state": lambda state: client.setState(state),
    "update_status": lambda status: client.setUpdateStatus(status),
    "subscribe": lambda method, arguments: getattr(client, method)(**arguments) and None,
    "nothing": lambda: None,
    "disconnect": lambda: client.client.disconnect() and None,
}


def publish(topic):
    settle()
    client.client.publish(topic)


perform(ACTIONS, publish)
# The timer that renews the management would keep the program alive for an hour.
if getattr(client, "manageTimer", None):
    client.manageTimer.cancel()
