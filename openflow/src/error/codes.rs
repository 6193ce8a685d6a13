//! The codes of OpenFlow's errors (1.3.5, 7.4.4), each named as the specification names it.

wire_enum! {
    /// No version in common, or not allowed to talk (`OFPET_HELLO_FAILED`).
    pub enum HelloFailed: u16 {
        /// No compatible version.
        Incompatible = 0 => "OFPHFC_INCOMPATIBLE",
        /// Permissions error.
        Eperm = 1 => "OFPHFC_EPERM",
    }
}

wire_enum! {
    /// The request was not understood (`OFPET_BAD_REQUEST`).
    pub enum BadRequest: u16 {
        /// The header's version is not supported.
        BadVersion = 0 => "OFPBRC_BAD_VERSION",
        /// The header's type is not supported.
        BadType = 1 => "OFPBRC_BAD_TYPE",
        /// The multipart type is not supported.
        BadMultipart = 2 => "OFPBRC_BAD_MULTIPART",
        /// The experimenter id is not supported.
        BadExperimenter = 3 => "OFPBRC_BAD_EXPERIMENTER",
        /// The experimenter type is not supported.
        BadExpType = 4 => "OFPBRC_BAD_EXP_TYPE",
        /// Permissions error.
        Eperm = 5 => "OFPBRC_EPERM",
        /// Wrong length for the type.
        BadLen = 6 => "OFPBRC_BAD_LEN",
        /// The buffer has already been used.
        BufferEmpty = 7 => "OFPBRC_BUFFER_EMPTY",
        /// The buffer does not exist.
        BufferUnknown = 8 => "OFPBRC_BUFFER_UNKNOWN",
        /// The table does not exist, or is invalid.
        BadTableId = 9 => "OFPBRC_BAD_TABLE_ID",
        /// Denied because the controller is a slave.
        IsSlave = 10 => "OFPBRC_IS_SLAVE",
        /// The port is invalid or missing.
        BadPort = 11 => "OFPBRC_BAD_PORT",
        /// The frame of a packet-out is invalid.
        BadPacket = 12 => "OFPBRC_BAD_PACKET",
        /// The multipart request overflowed the assigned buffer.
        MultipartBufferOverflow = 13 => "OFPBRC_MULTIPART_BUFFER_OVERFLOW",
    }
}

wire_enum! {
    /// An action is wrong (`OFPET_BAD_ACTION`).
    pub enum BadAction: u16 {
        /// Unknown or unsupported action type.
        BadType = 0 => "OFPBAC_BAD_TYPE",
        /// Wrong length.
        BadLen = 1 => "OFPBAC_BAD_LEN",
        /// Unknown experimenter id.
        BadExperimenter = 2 => "OFPBAC_BAD_EXPERIMENTER",
        /// Unknown action for the experimenter id.
        BadExpType = 3 => "OFPBAC_BAD_EXP_TYPE",
        /// The output port can't be used.
        BadOutPort = 4 => "OFPBAC_BAD_OUT_PORT",
        /// Bad argument.
        BadArgument = 5 => "OFPBAC_BAD_ARGUMENT",
        /// Permissions error.
        Eperm = 6 => "OFPBAC_EPERM",
        /// More actions than can be handled.
        TooMany = 7 => "OFPBAC_TOO_MANY",
        /// The output queue can't be used.
        BadQueue = 8 => "OFPBAC_BAD_QUEUE",
        /// The group does not exist, or can't be forwarded to.
        BadOutGroup = 9 => "OFPBAC_BAD_OUT_GROUP",
        /// The action can't apply to this match, or a set-field's prerequisite is missing.
        MatchInconsistent = 10 => "OFPBAC_MATCH_INCONSISTENT",
        /// The order of the actions is unsupported in apply-actions.
        UnsupportedOrder = 11 => "OFPBAC_UNSUPPORTED_ORDER",
        /// The action uses an unsupported tag or encapsulation.
        BadTag = 12 => "OFPBAC_BAD_TAG",
        /// Unsupported field in a set-field.
        BadSetType = 13 => "OFPBAC_BAD_SET_TYPE",
        /// Wrong length of a set-field.
        BadSetLen = 14 => "OFPBAC_BAD_SET_LEN",
        /// Bad argument of a set-field.
        BadSetArgument = 15 => "OFPBAC_BAD_SET_ARGUMENT",
    }
}

wire_enum! {
    /// An instruction is wrong (`OFPET_BAD_INSTRUCTION`).
    pub enum BadInstruction: u16 {
        /// Unknown instruction.
        UnknownInst = 0 => "OFPBIC_UNKNOWN_INST",
        /// The switch or table does not support the instruction.
        UnsupInst = 1 => "OFPBIC_UNSUP_INST",
        /// Invalid table to go to.
        BadTableId = 2 => "OFPBIC_BAD_TABLE_ID",
        /// The metadata value is unsupported by the datapath.
        UnsupMetadata = 3 => "OFPBIC_UNSUP_METADATA",
        /// The metadata mask is unsupported by the datapath.
        UnsupMetadataMask = 4 => "OFPBIC_UNSUP_METADATA_MASK",
        /// Unknown experimenter id.
        BadExperimenter = 5 => "OFPBIC_BAD_EXPERIMENTER",
        /// Unknown instruction for the experimenter id.
        BadExpType = 6 => "OFPBIC_BAD_EXP_TYPE",
        /// Wrong length.
        BadLen = 7 => "OFPBIC_BAD_LEN",
        /// Permissions error.
        Eperm = 8 => "OFPBIC_EPERM",
    }
}

wire_enum! {
    /// A match is wrong (`OFPET_BAD_MATCH`).
    pub enum BadMatch: u16 {
        /// Unsupported match type.
        BadType = 0 => "OFPBMC_BAD_TYPE",
        /// Wrong length.
        BadLen = 1 => "OFPBMC_BAD_LEN",
        /// The match uses an unsupported tag or encapsulation.
        BadTag = 2 => "OFPBMC_BAD_TAG",
        /// Unsupported mask of an Ethernet address.
        BadDlAddrMask = 3 => "OFPBMC_BAD_DL_ADDR_MASK",
        /// Unsupported mask of a network address.
        BadNwAddrMask = 4 => "OFPBMC_BAD_NW_ADDR_MASK",
        /// Unsupported combination of masked or omitted fields.
        BadWildcards = 5 => "OFPBMC_BAD_WILDCARDS",
        /// Unsupported field.
        BadField = 6 => "OFPBMC_BAD_FIELD",
        /// Unsupported value of a field.
        BadValue = 7 => "OFPBMC_BAD_VALUE",
        /// Unsupported mask of a field that is no address.
        BadMask = 8 => "OFPBMC_BAD_MASK",
        /// A prerequisite is missing.
        BadPrereq = 9 => "OFPBMC_BAD_PREREQ",
        /// A field is given twice.
        DupField = 10 => "OFPBMC_DUP_FIELD",
        /// Permissions error.
        Eperm = 11 => "OFPBMC_EPERM",
    }
}

wire_enum! {
    /// A flow could not be changed (`OFPET_FLOW_MOD_FAILED`).
    pub enum FlowModFailed: u16 {
        /// Unspecified.
        Unknown = 0 => "OFPFMFC_UNKNOWN",
        /// The table is full.
        TableFull = 1 => "OFPFMFC_TABLE_FULL",
        /// The table does not exist.
        BadTableId = 2 => "OFPFMFC_BAD_TABLE_ID",
        /// Overlaps another flow, and `CHECK_OVERLAP` was set.
        Overlap = 3 => "OFPFMFC_OVERLAP",
        /// Permissions error.
        Eperm = 4 => "OFPFMFC_EPERM",
        /// Unsupported idle or hard timeout.
        BadTimeout = 5 => "OFPFMFC_BAD_TIMEOUT",
        /// Unsupported or unknown command.
        BadCommand = 6 => "OFPFMFC_BAD_COMMAND",
        /// Unsupported or unknown flags.
        BadFlags = 7 => "OFPFMFC_BAD_FLAGS",
    }
}

wire_enum! {
    /// A group could not be changed (`OFPET_GROUP_MOD_FAILED`).
    pub enum GroupModFailed: u16 {
        /// The group to add exists already.
        GroupExists = 0 => "OFPGMFC_GROUP_EXISTS",
        /// The group is invalid.
        InvalidGroup = 1 => "OFPGMFC_INVALID_GROUP",
        /// Unequal load sharing is unsupported.
        WeightUnsupported = 2 => "OFPGMFC_WEIGHT_UNSUPPORTED",
        /// The group table is full.
        OutOfGroups = 3 => "OFPGMFC_OUT_OF_GROUPS",
        /// Too many buckets.
        OutOfBuckets = 4 => "OFPGMFC_OUT_OF_BUCKETS",
        /// Groups that forward to groups are unsupported.
        ChainingUnsupported = 5 => "OFPGMFC_CHAINING_UNSUPPORTED",
        /// Watching this port or group is unsupported.
        WatchUnsupported = 6 => "OFPGMFC_WATCH_UNSUPPORTED",
        /// The group would make a loop.
        Loop = 7 => "OFPGMFC_LOOP",
        /// The group to change does not exist.
        UnknownGroup = 8 => "OFPGMFC_UNKNOWN_GROUP",
        /// Another group forwards to this one.
        ChainedGroup = 9 => "OFPGMFC_CHAINED_GROUP",
        /// Unsupported or unknown group type.
        BadType = 10 => "OFPGMFC_BAD_TYPE",
        /// Unsupported or unknown command.
        BadCommand = 11 => "OFPGMFC_BAD_COMMAND",
        /// Error in a bucket.
        BadBucket = 12 => "OFPGMFC_BAD_BUCKET",
        /// Error in a watched port or group.
        BadWatch = 13 => "OFPGMFC_BAD_WATCH",
        /// Permissions error.
        Eperm = 14 => "OFPGMFC_EPERM",
    }
}

wire_enum! {
    /// A port could not be changed (`OFPET_PORT_MOD_FAILED`).
    pub enum PortModFailed: u16 {
        /// The port does not exist.
        BadPort = 0 => "OFPPMFC_BAD_PORT",
        /// The hardware address is not the port's.
        BadHwAddr = 1 => "OFPPMFC_BAD_HW_ADDR",
        /// Invalid configuration.
        BadConfig = 2 => "OFPPMFC_BAD_CONFIG",
        /// Invalid advertisement.
        BadAdvertise = 3 => "OFPPMFC_BAD_ADVERTISE",
        /// Permissions error.
        Eperm = 4 => "OFPPMFC_EPERM",
    }
}

wire_enum! {
    /// A table could not be changed (`OFPET_TABLE_MOD_FAILED`).
    pub enum TableModFailed: u16 {
        /// The table does not exist.
        BadTable = 0 => "OFPTMFC_BAD_TABLE",
        /// Invalid configuration.
        BadConfig = 1 => "OFPTMFC_BAD_CONFIG",
        /// Permissions error.
        Eperm = 2 => "OFPTMFC_EPERM",
    }
}

wire_enum! {
    /// A queue operation failed (`OFPET_QUEUE_OP_FAILED`).
    pub enum QueueOpFailed: u16 {
        /// The port is invalid or does not exist.
        BadPort = 0 => "OFPQOFC_BAD_PORT",
        /// The queue does not exist.
        BadQueue = 1 => "OFPQOFC_BAD_QUEUE",
        /// Permissions error.
        Eperm = 2 => "OFPQOFC_EPERM",
    }
}

wire_enum! {
    /// The switch's configuration could not be changed (`OFPET_SWITCH_CONFIG_FAILED`).
    pub enum SwitchConfigFailed: u16 {
        /// Invalid flags.
        BadFlags = 0 => "OFPSCFC_BAD_FLAGS",
        /// Invalid length of frames to send.
        BadLen = 1 => "OFPSCFC_BAD_LEN",
        /// Permissions error.
        Eperm = 2 => "OFPSCFC_EPERM",
    }
}

wire_enum! {
    /// The role could not be changed (`OFPET_ROLE_REQUEST_FAILED`).
    pub enum RoleRequestFailed: u16 {
        /// The generation id is older than one already seen.
        Stale = 0 => "OFPRRFC_STALE",
        /// Changing roles is unsupported.
        Unsup = 1 => "OFPRRFC_UNSUP",
        /// Invalid role.
        BadRole = 2 => "OFPRRFC_BAD_ROLE",
    }
}

wire_enum! {
    /// A meter could not be changed (`OFPET_METER_MOD_FAILED`).
    pub enum MeterModFailed: u16 {
        /// Unspecified.
        Unknown = 0 => "OFPMMFC_UNKNOWN",
        /// The meter to add exists already.
        MeterExists = 1 => "OFPMMFC_METER_EXISTS",
        /// The meter is invalid.
        InvalidMeter = 2 => "OFPMMFC_INVALID_METER",
        /// The meter to change, or to use, does not exist.
        UnknownMeter = 3 => "OFPMMFC_UNKNOWN_METER",
        /// Unsupported or unknown command.
        BadCommand = 4 => "OFPMMFC_BAD_COMMAND",
        /// Unsupported flags.
        BadFlags = 5 => "OFPMMFC_BAD_FLAGS",
        /// Unsupported rate.
        BadRate = 6 => "OFPMMFC_BAD_RATE",
        /// Unsupported burst size.
        BadBurst = 7 => "OFPMMFC_BAD_BURST",
        /// Unsupported band.
        BadBand = 8 => "OFPMMFC_BAD_BAND",
        /// Unsupported value of a band.
        BadBandValue = 9 => "OFPMMFC_BAD_BAND_VALUE",
        /// No more meters are available.
        OutOfMeters = 10 => "OFPMMFC_OUT_OF_METERS",
        /// Too many bands in a meter.
        OutOfBands = 11 => "OFPMMFC_OUT_OF_BANDS",
    }
}

wire_enum! {
    /// A table's features could not be set (`OFPET_TABLE_FEATURES_FAILED`).
    pub enum TableFeaturesFailed: u16 {
        /// The table does not exist.
        BadTable = 0 => "OFPTFFC_BAD_TABLE",
        /// Invalid metadata mask.
        BadMetadata = 1 => "OFPTFFC_BAD_METADATA",
        /// Unknown property type.
        BadType = 2 => "OFPTFFC_BAD_TYPE",
        /// Wrong length of a property.
        BadLen = 3 => "OFPTFFC_BAD_LEN",
        /// Unsupported value of a property.
        BadArgument = 4 => "OFPTFFC_BAD_ARGUMENT",
        /// Permissions error.
        Eperm = 5 => "OFPTFFC_EPERM",
    }
}
