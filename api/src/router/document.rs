//! The OpenAPI document: what all operations share is added here, once.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    Required, ResponseBuilder, SecurityRequirement,
};
use utoipa::{PartialSchema, ToSchema};

use crate::error::{PROBLEM_JSON, Problem};
use crate::read_only::Written;
use crate::types::{
    AttachmentSpec, DocumentPort, LinkBody, NetworkBody, NetworkSpec, PoolPortBody, PortSpec,
    SwitchPatch,
};

const ABOUT: &str = "\
Virtual networks on OpenFlow switches.

Errors are `application/problem+json` (RFC 9457) with a stable `type`. Unknown fields and \
parameters are refused; read-only fields of an answer that is sent back are ignored.

A change is answered once it is durable. With `wait=installed`, which is the default, the answer \
also waits for the switches: `state` is `installed` then (200 or 201), or `pending` (202) with \
the reason per switch. A switch that is away never makes a change fail.

Names in a path are percent-encoded. There, and in bodies, `of:0000000000000001`, `0x1` and `1` \
are a switch's datapath id, all digits are a port's number, and anything else is a name; `pct:` \
starts a name that needs percent-encoding in JSON too.";

/// The document before its paths.
pub(super) fn head() -> OpenApi {
    let tags = [
        ("networks", "Virtual networks."),
        ("ports", "Ports in virtual networks: attach and detach."),
        ("attachments", "Ports that are held for an owner, and the pools they come from."),
        ("apply", "Whole documents of desired state."),
        ("switches", "Switches, and what they hold."),
        ("links", "Links between switches."),
        ("hosts", "Which MAC address is where."),
        ("backup", "All that the controller keeps."),
        ("system", "Health, metrics and documentation."),
    ];
    let mut components = Components::new();
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.add_security_scheme(
        "token",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("A token of the server's token file, where it has one."))
                .build(),
        ),
    );
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Isolane")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(ABOUT))
                .license(Some(
                    LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build(),
                ))
                .build(),
        )
        .tags(Some(tags.map(|(name, description)| {
            TagBuilder::new().name(name).description(Some(description)).build()
        })))
        .security(Some([SecurityRequirement::new("token", Vec::<String>::new())]))
        .components(Some(components))
        .build()
}

/// Says what the definitions can't: each operation can answer with a problem,
/// a body that may be left out is not `null`, and the read-only fields of an
/// answer may be sent back.
pub(super) fn finish(openapi: &mut OpenApi) {
    add_problems(openapi);
    for item in openapi.paths.paths.values_mut() {
        operations_mut(item).for_each(optional_body);
    }
    if let Some(components) = &mut openapi.components {
        read_only::<NetworkSpec>(components);
        read_only::<NetworkBody>(components);
        read_only::<PortSpec>(components);
        read_only::<DocumentPort>(components);
        read_only::<SwitchPatch>(components);
        read_only::<LinkBody>(components);
        read_only::<AttachmentSpec>(components);
        read_only::<PoolPortBody>(components);
    }
}

/// `T or null`, which stands for a body that may be left out, becomes `T`.
fn optional_body(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content
            && let Some(RefOr::T(Schema::OneOf(either))) = &content.schema
            && let [body_alone @ RefOr::Ref(_), _] = either.items.as_slice()
        {
            content.schema = Some(body_alone.clone());
            body.required = Some(Required::False);
        }
    }
}

/// Lists the fields that are skipped when they are sent back.
fn read_only<T: ToSchema + for<'de> Written<'de>>(components: &mut Components) {
    if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(T::name().as_ref()) {
        for name in <T as Written<'_>>::READ_ONLY {
            let ignored = ObjectBuilder::new()
                .schema_type(SchemaType::AnyValue)
                .read_only(true)
                .description(Some("Of an answer that is sent back: ignored."));
            object.properties.entry((*name).to_owned()).or_insert_with(|| ignored.into());
        }
    }
}

fn add_problems(openapi: &mut OpenApi) {
    for item in openapi.paths.paths.values_mut() {
        for operation in operations_mut(item) {
            let has_body = operation.request_body.is_some();
            let has_input = has_body || operation.parameters.iter().flatten().next().is_some();
            let open = operation.security.as_ref().is_some_and(|security| !security.is_empty());
            let mut add = |status: &str, description: &str| {
                let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
                let response = ResponseBuilder::new()
                    .description(description)
                    .content(PROBLEM_JSON, problem.build())
                    .build();
                let responses = &mut operation.responses.responses;
                responses.entry(status.to_owned()).or_insert_with(|| response.into());
            };
            if has_input {
                add("400", "Something in the request is wrong; `field` says what.");
            }
            if !open {
                add("401", "`unauthorized`: a valid token is needed.");
            }
            if has_body {
                add("413", "`body-too-large`");
                add("415", "`unsupported-media-type`: the body must be declared as JSON.");
            }
            add("default", "Any other problem.");
        }
    }
}

/// The operations of a path, with their methods.
pub(super) fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete]
        .into_iter()
        .filter_map(Option::as_mut)
}

/// The document as text, ending with a line feed.
pub(super) fn json(openapi: &OpenApi) -> String {
    // Serializing this document can't fail: it has no maps with other keys
    // than strings. An empty text would fail the tests that read it.
    let mut text = openapi.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
