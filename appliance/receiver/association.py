"""One association: C-ECHO and C-STORE by pynetdicom, each instance sealed while it comes.

A data set never lies in memory: our side of the DIMSE provider hands each fragment to the spool as it comes,
through the place where pynetdicom would write a file. "Success" is said after the sealed file is on disk.
"""

from __future__ import annotations

import io
import logging
import re
import ssl
import time
import warnings
from typing import Any, Final

from pydicom.filewriter import write_file_meta_info
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_CANCEL_RQ, C_ECHO_RQ, C_STORE_RQ, DIMSEMessage
from pynetdicom.dsutils import create_file_meta
from pynetdicom.fsm import TRANSITION_TABLE, StateMachine
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.sop_class import Verification
from pynetdicom.transport import AddressInformation

from appliance.faults import fault_of
from appliance.receiver.dataset_head import HEAD_BYTES, study_of
from appliance.receiver.door import Refused
from appliance.receiver.guard import MAXIMUM_PDU, GuardedSocket, association_request
from appliance.receiver.settings import Limits, Peer
from appliance.receiver.spool import Incoming, Spool, TooLarge, group_of
from appliance.receiver.tally import AGAIN, ECHO, RECEIVED, REFUSED, Tally

SUCCESS, OUT_OF_RESOURCES, NO_UID = 0x0000, 0xA700, 0x0117  # PS3.4 annex B, PS3.7 annex C
_COMMAND_BYTES: Final = 16 << 10  # group 0000 of a C-STORE takes 300
_UID: Final = re.compile(r"[0-9.]{1,64}")
_LAST, _COMMAND = 2, 1  # bits of a message control header (PS3.8 annex E.2)
_END_S: Final = 5.0
TRANSFER_SYNTAXES: Final = [  # what a reader here knows; not deflated: a small one becomes a huge one
    *("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"),
    *(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)),
    "1.2.840.10008.1.2.5",
]


class Storage:
    """What serves associations.

    Args:
        spool: where it goes.
        ae_title: ours.
        limits: of each.
        tally: counts.
        arrived: told the group of everything that was kept.
    """

    def __init__(self, spool: Spool, ae_title: str, limits: Limits, tally: Tally, arrived: Any) -> None:
        warnings.simplefilter("ignore")  # of what pydicom thinks of a peer's words
        logging.getLogger("pynetdicom").disabled = True
        for name in list(logging.root.manager.loggerDict):
            if name.startswith(("pynetdicom.", "pydicom")):
                logging.getLogger(name).disabled = True  # they quote what they read
        _config.LOG_HANDLER_LEVEL = "none"
        self._spool, self._limits, self._tally, self._arrived = spool, limits, tally, arrived
        self._ae = AE(ae_title)
        self._ae.maximum_pdu_size = MAXIMUM_PDU
        self._ae.maximum_associations = limits.connections + 1
        self._ae.acse_timeout = limits.handshake_s
        self._ae.dimse_timeout = self._ae.network_timeout = limits.idle_s
        for context in AllStoragePresentationContexts:
            self._ae.add_supported_context(context.abstract_syntax, TRANSFER_SYNTAXES)
        self._ae.add_supported_context(Verification, TRANSFER_SYNTAXES[:2])

    def serve(self, talking: ssl.SSLSocket, peer: Peer) -> None:
        """One association, to its end.

        Raises:
            Refused: it was ended from here.
        """
        request = association_request(talking, peer, self._ae.ae_title, self._limits)
        association = Association(self._ae, MODE_ACCEPTOR)
        association.dul.daemon = True
        association.dul.state_machine = _States(association.dul)
        guarded = GuardedSocket(association, talking, request, self._limits)
        association.set_socket(guarded)
        association.acceptor.maximum_length = MAXIMUM_PDU
        association.acceptor.ae_title = self._ae.ae_title
        association.acceptor.address_info = AddressInformation.from_tuple(talking.getsockname())
        association.acceptor.implementation_class_uid = self._ae.implementation_class_uid
        association.acceptor.implementation_version_name = self._ae.implementation_version_name
        association.acceptor.supported_contexts = self._ae.supported_contexts
        association.requestor.address_info = AddressInformation.from_tuple(talking.getpeername())
        association.bind(evt.EVT_C_STORE, self._store, [peer])
        association.bind(evt.EVT_C_ECHO, self._echo, [peer])
        provider = _Provider(association, self._spool, self._limits)
        association.dimse = provider
        try:
            association.start()
            association.join()
            association.dul.kill_dul()
            association.dul.join(_END_S)
        finally:
            provider.discard()
        if reason := provider.refused or guarded.refused:
            raise Refused(reason)
        if association.is_rejected:
            raise Refused("association")

    def _store(self, event: evt.Event, peer: Peer) -> int:
        """The answer to one C-STORE."""
        arriving: _Instance = event.request._dataset_file
        if arriving.status:
            self._tally.add(REFUSED, peer.name, arriving.reason)
            return arriving.status
        group = arriving.group(self._spool)
        try:
            kept = arriving.keep(group)
        except OSError:
            self._arrived(group)  # it may have its name already, and then somebody has to hand it over
            self._tally.add(REFUSED, peer.name, "no-room")
            return OUT_OF_RESOURCES
        self._tally.received(RECEIVED if kept else AGAIN, peer.name)
        self._arrived(group)
        return SUCCESS

    def _echo(self, event: evt.Event, peer: Peer) -> int:
        self._tally.add(ECHO, peer.name)
        return SUCCESS


class _Instance:
    """The data set of one C-STORE while it comes; to pynetdicom it is the file that it writes to.

    Attributes:
        name: the file that pynetdicom removes afterwards: none.
        status: what the answer will be when it is not success; what comes then is read and thrown away.
        reason: a word for that.
        ended: whether nothing of it lies in the spool any more that has no name.
    """

    name: Final = "/nonexistent"

    def __init__(self, spool: Spool, limits: Limits, command: Any, transfer_syntax: str) -> None:
        self.status, self.reason, self.ended = SUCCESS, "", False
        self._incoming: Incoming | None = None
        self._head, self._syntax = bytearray(), transfer_syntax
        self._instance = str(command.AffectedSOPInstanceUID)
        self._left = limits.object_mib << 20
        sop_class = str(command.AffectedSOPClassUID)
        if not (_UID.fullmatch(self._instance) and _UID.fullmatch(sop_class)):
            self._refuse(NO_UID, "uid")
            return
        meta = io.BytesIO()
        meta.write(bytes(128) + b"DICM")
        write_file_meta_info(
            meta,
            create_file_meta(
                sop_class_uid=sop_class, sop_instance_uid=self._instance, transfer_syntax=transfer_syntax
            ),
        )
        try:
            if not spool.has_room():
                raise OSError("no room")
            self._incoming = spool.begin(self._left + meta.tell())
            self._incoming.write(meta.getvalue())
        except OSError:
            self._refuse(OUT_OF_RESOURCES, "no-room")

    @property
    def file(self) -> _Instance:
        """Where pynetdicom flushes."""
        return self

    def flush(self) -> None:
        """Nothing is held back."""

    def write(self, piece: bytes) -> None:
        """The next fragment.

        Raises:
            TooLarge: the instance has more bytes than it may, also one that is thrown away.
        """
        self._left -= len(piece)
        if self._left < 0:
            raise TooLarge
        if len(self._head) < HEAD_BYTES:
            self._head += piece[: HEAD_BYTES - len(self._head)]
        if self._incoming is not None:
            try:
                self._incoming.write(piece)
            except OSError:
                self._refuse(OUT_OF_RESOURCES, "no-room")

    def group(self, spool: Spool) -> str:
        """What it belongs to: its study, or itself alone."""
        study = study_of(bytes(self._head), self._syntax)
        return (
            group_of(spool.address, "study", study)
            if study
            else group_of(spool.address, "alone", self._instance)
        )

    def keep(self, group: str) -> bool:
        """Make it durable; False where it was received before. Raises OSError."""
        assert self._incoming is not None
        return self._incoming.keep(group)

    def close(self) -> None:
        """It was answered, or never will be."""
        self.ended = True
        if self._incoming is not None:
            self._incoming.discard()

    def _refuse(self, status: int, reason: str) -> None:
        self.close()
        self._incoming, self.status, self.reason = None, status, reason


class _States(StateMachine):  # type: ignore[misc]
    """The states of PS3.8 §9.2; an end may be heard twice, and an answer may come after it."""

    def do_action(self, event: str) -> None:
        """One step; an event that its state does not know ends the association, and is no fault."""
        if (event, self.current_state) in TRANSITION_TABLE:
            super().do_action(event)
        else:
            self.dul.kill_dul()


class _Provider(DIMSEServiceProvider):  # type: ignore[misc]
    """Takes messages apart fragment by fragment, and lets only two services in.

    Attributes:
        refused: why it ended the association, else empty.
    """

    message: DIMSEMessage | None

    def __init__(self, assoc: Association, spool: Spool, limits: Limits) -> None:
        super().__init__(assoc)
        self._spool, self._limits = spool, limits
        self._command_bytes = 0
        self._end = 0.0
        self._context = 0
        self._instance: _Instance | None = None  # to which fragments go
        self._open: list[_Instance] = []  # with those that wait for their answer
        self._over = False
        self.refused = ""

    def receive_primitive(self, primitive: P_DATA) -> None:
        """In the thread that reads: what is not allowed ends the association at once."""
        if self.refused or self._over:
            return
        try:
            for context, fragment in primitive.presentation_data_value_list:
                self._take(context, fragment)
        except Refused as refused:
            self._end_with(refused.reason)
        except TooLarge:
            self._end_with("object-size")
        except Exception as error:  # noqa: BLE001 - border to foreign bytes: whatever a parser raises ends it
            fault_of(error)
            self._end_with("malformed")

    def discard(self) -> None:
        """The association is over, and nobody answers any more: what was not answered comes to nothing."""
        self._over = True
        for one in self._open:
            one.close()

    def _take(self, context: int, fragment: bytes) -> None:
        if not fragment:
            raise Refused("malformed")
        if self.message is None:
            if self.msg_queue.qsize() > 1:  # one operation at a time was agreed
                raise Refused("unasked")
            self._command_bytes, self._instance, self._context = 0, None, context
            self._end = time.monotonic() + self._limits.object_s
            self._open = [one for one in self._open if not one.ended]
        elif context != self._context:
            raise Refused("context")
        if time.monotonic() > self._end:
            raise Refused("too-slow")
        if fragment[0] & _COMMAND:
            self._command_bytes += len(fragment)
            if self._command_bytes > _COMMAND_BYTES or self._instance is not None:
                raise Refused("malformed")
        elif self._instance is None:
            raise Refused("malformed")  # a data set nobody asked for
        self.message = message = self.message or DIMSEMessage()
        single = P_DATA()
        single.presentation_data_value_list.append((context, fragment))
        super().receive_primitive(single)
        if fragment[0] & _COMMAND and fragment[0] & _LAST:
            self._begun(message, context)

    def _begun(self, message: DIMSEMessage, context: int) -> None:
        """A command is complete: what follows is the data set of a C-STORE, or nothing."""
        if self.message is None:  # it has no data set, and was passed on
            if not isinstance(message, C_ECHO_RQ | C_CANCEL_RQ):
                raise Refused("service")
            return
        if not isinstance(message, C_STORE_RQ):
            raise Refused("service")
        agreed = self.assoc._accepted_cx.get(context)
        if agreed is None or message.command_set.AffectedSOPClassUID != agreed.abstract_syntax:
            raise Refused("context")
        self._instance = _Instance(self._spool, self._limits, message.command_set, agreed.transfer_syntax[0])
        self._open.append(self._instance)
        message._data_set_file = self._instance

    def _end_with(self, reason: str) -> None:
        self.refused = reason
        if self.message is not None and self._instance is not None:  # else it is complete, and being answered
            self._instance.close()
        self.dul.event_queue.put("Evt19")
