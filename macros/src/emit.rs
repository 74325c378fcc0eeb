//! The code of a checked network.

mod step;

use crate::check::{Constant, Fit, Plan, Planned};
use crate::tokens::Generics;
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use step::{Fresh, Step, steps};

/// The struct with its implementations, or the expression that gives one.
pub(crate) fn emit(plan: &Plan, errors: &TokenStream) -> TokenStream {
    match &plan.item {
        Some(item) => {
            let attrs = &item.attrs;
            let cfgs = attrs.iter().filter(|attribute| attribute.is("cfg"));
            let network = Emitter::new(plan, &item.name, &item.generics, &item.vis)
                .network(&quote!(#(#attrs)*), &quote!(#(#cfgs)*));
            quote!(#errors #network)
        }
        None => {
            let types = plan.layers.iter().map(|layer| &layer.ty);
            let name = Fresh::new(quote!(#(#types)*)).name("Sequential");
            let network = Emitter::new(plan, &name, &Generics::default(), &TokenStream::new())
                .network(&quote!(#[derive(Clone, Debug, PartialEq)]), &TokenStream::new());
            quote!({
                #errors
                #network
                ::plywood::nn::Uninit::<#name>::new()
            })
        }
    }
}

struct Emitter<'a> {
    plan: &'a Plan,
    name: &'a Ident,
    vis: &'a TokenStream,
    generics: &'a Generics,
    where_clause: &'a TokenStream,
    /// The type parameters of the user.
    own: Vec<Ident>,
    steps: Vec<Step>,
    fresh: Fresh,
    /// The element type, the storage, and the element type of a function.
    elem: Ident,
    store: Ident,
    other: Ident,
}

impl<'a> Emitter<'a> {
    fn new(plan: &'a Plan, name: &'a Ident, generics: &'a Generics, vis: &'a TokenStream) -> Self {
        let types = plan.layers.iter().map(|layer| &layer.ty);
        let (input, output, where_clause) = (plan.input.ty(), plan.output.ty(), &generics.where_clause);
        let declared = generics.declared(&TokenStream::new());
        let fresh = Fresh::new(quote!(#name #declared #where_clause #input #output #(#types)*));
        let own: Vec<Ident> = generics.types().cloned().collect();
        Emitter {
            plan,
            name,
            vis,
            generics,
            where_clause,
            steps: steps(plan, &fresh, !own.is_empty()),
            own,
            elem: fresh.name("E"),
            store: fresh.name("B"),
            other: fresh.name("Elem"),
            fresh,
        }
    }

    fn network(&self, attrs: &TokenStream, cfgs: &TokenStream) -> TokenStream {
        let Emitter { plan, name, vis, where_clause, own, elem, store, other, .. } = self;
        let declared = self
            .generics
            .declared(&quote!(#elem: ::plywood::Float = f32, #store = ::plywood::__private::Buffer<#elem>));
        let position = self.fresh.name("POSITION");
        let single = self.generics.implemented(&TokenStream::new());
        let owned = self.generics.implemented(&quote!(#elem: ::plywood::Float));
        let any =
            self.generics.implemented(&quote!(#elem: ::plywood::Float, #store: ::plywood::__private::Storage<#elem>));
        let aliases = self.steps.iter().filter_map(|step| step.alias.as_ref());
        let layer = self.layer_impl();
        let accessors = self.accessors();
        let at = self.at_impls(&any);
        let fits = plan.fits.iter().map(|fit| self.fit_check(fit, &single));
        let constants = plan.constants.iter().map(|Constant { name, expr, least, what }| {
            let (expr, span) = (crate::size::unbraced(expr), syn::spanned::Spanned::span(expr));
            let least = proc_macro2::Literal::u64_unsuffixed(*least);
            let value = quote_spanned!(span=> ::plywood::__private::check_size(#expr, #least, #what));
            quote!(const #name: usize = #value;)
        });
        // The compiler looks into the output's type here, too, and would report a type that is no layer a second time
        // if this were at another place.
        let place = plan.layers.iter().find(|layer| layer.outside).map_or_else(Span::call_site, |layer| layer.span);
        let as_other = quote_spanned!(place=> type As<#other: ::plywood::Float> = #name<#(#own,)* #other>;);
        let init_doc = format!("A `{name}` with PyTorch's default initial values.");
        quote! {
            #attrs
            #vis struct #name #declared #where_clause {
                parameters: #store,
                layers: ::core::marker::PhantomData<(#elem, #(#own,)*)>,
            }

            #cfgs
            #[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, deprecated)]
            const _: () = {
                #(#constants)*
                #(#aliases)*

                impl #any ::plywood::nn::Layer for #name<#(#own,)* #elem, #store> #where_clause {
                    #layer
                }

                impl #owned ::plywood::nn::Model for #name<#(#own,)* #elem> #where_clause {
                    type Elem = #elem;
                    #as_other

                    fn from_buffer(parameters: ::plywood::__private::Buffer<#elem>) -> Self {
                        #name { parameters, layers: ::core::marker::PhantomData }
                    }

                    fn buffer(&self) -> &::plywood::__private::Buffer<#elem> {
                        &self.parameters
                    }

                    fn buffer_mut(&mut self) -> &mut ::plywood::__private::Buffer<#elem> {
                        &mut self.parameters
                    }
                }

                impl #single #name<#(#own),*> #where_clause {
                    /// The number of parameters.
                    #vis const PARAMS: usize = <Self as ::plywood::nn::Layer>::PARAMS;
                    /// The layers.
                    #vis const LAYERS: &'static [::plywood::nn::LayerInfo] = <Self as ::plywood::nn::Layer>::LAYERS;

                    #[doc = #init_doc]
                    #[must_use]
                    #vis fn init(rng: &mut ::plywood::Generator) -> Self {
                        <Self as ::plywood::nn::Model>::init(rng)
                    }
                }

                impl #any #name<#(#own,)* #elem, #store> #where_clause {
                    /// The parameters of the layer at a position, counted from 0 as in PyTorch.
                    #vis fn at<const #position: usize>(&self) -> <Self as ::plywood::nn::At<{ #position }>>::View<'_>
                    where
                        Self: ::plywood::nn::At<{ #position }>,
                    {
                        <Self as ::plywood::nn::At<{ #position }>>::at(self)
                    }

                    #accessors
                }

                #at
                #(#fits)*
            };
        }
    }

    /// `impl Layer`: the facts, forward and backward.
    fn layer_impl(&self) -> TokenStream {
        let Emitter { plan, name, own, other, .. } = self;
        let (input, output) = (plan.input.ty(), plan.output.ty());
        let kind = name.to_string();
        let place = plan.layers.iter().find(|layer| layer.outside).map_or_else(Span::call_site, |layer| layer.span);
        let ends = quote_spanned!(place=> type Input = #input; type Output = #output;);
        let steps = &self.steps;
        let all = |what: &str| -> Vec<_> { steps.iter().map(|step| step.get(what)).collect() };
        let [params, multiply_adds, saved] = ["PARAMS", "MULTIPLY_ADDS", "SAVED"].map(all);
        let infos = plan.layers.iter().map(|layer| {
            let (key, info) = (&layer.key, Step::of(layer).get("INFO"));
            let fused = layer.fused.as_ref().map(|_| quote!(.fused()));
            quote!(#info.named(#key)#fused)
        });
        // What lies between two steps: kept forward, and its gradient in one of two slots, by turns, backward.
        let between: Vec<_> = steps[..steps.len() - 1].iter().map(Step::numel).collect();
        let largest = |sizes: Vec<TokenStream>| {
            sizes.into_iter().reduce(|a, b| quote!(::plywood::__private::max(#a, #b))).unwrap_or_else(|| quote!(0))
        };
        let slots = [0, 1].map(|parity| largest(between.iter().skip(parity).step_by(2).cloned().collect()));
        let [even, odd] = &slots;
        let scratch = largest(all("SCRATCH"));
        let init = steps.iter().enumerate().map(|(i, step)| {
            let (p, index) = (format_ident!("p{i}"), i as u64);
            let (params, reset_parameters) = (step.get("PARAMS"), step.function("reset_parameters", other));
            quote! {
                let (#p, params) = params.split_at_mut(#params);
                #reset_parameters(#p, &mut rng.stream(#index));
            }
        });
        let simd = self.fresh.name("S");
        let forward = self.forward(&between, &simd);
        let backward = self.backward(&between, &slots, &simd);
        quote! {
            #ends
            type View<'a, #other: ::plywood::Float> = #name<#(#own,)* #other, &'a [#other]>;
            const KIND: &'static str = #kind;
            const LAYERS: &'static [::plywood::nn::LayerInfo] = &::plywood::nn::LayerInfo::placed([#(#infos),*]);
            const PARAMS: usize = 0 #(+ #params)*;
            const MULTIPLY_ADDS: usize = 0 #(+ #multiply_adds)*;
            const SAVED: usize = 0 #(+ #between)* #(+ #saved)*;
            const SCRATCH: usize = #even + #odd + #scratch;

            fn reset_parameters<#other: ::plywood::Float>(params: &mut [#other], rng: &mut ::plywood::Generator) {
                let rng = ::plywood::Generator::manual_seed(rng.next_u64());
                #(#init)*
                let _ = params;
            }

            fn view<#other: ::plywood::Float>(params: &[#other]) -> Self::View<'_, #other> {
                #name { parameters: params, layers: ::core::marker::PhantomData }
            }

            fn forward_pass<#other: ::plywood::Float>(pass: ::plywood::nn::Forward<'_, #other>) {
                ::plywood::__private::forward::<Self, #other>(pass);
            }

            fn backward_pass<#other: ::plywood::Float>(pass: ::plywood::nn::Backward<'_, #other>) {
                ::plywood::__private::backward::<Self, #other>(pass);
            }

            #[inline(always)]
            fn forward_on<#other: ::plywood::Float, #simd: ::plywood::__private::Simd>(
                pass: ::plywood::nn::Forward<'_, #other>,
            ) {
                #forward
            }

            #[inline(always)]
            fn backward_on<#other: ::plywood::Float, #simd: ::plywood::__private::Simd>(
                pass: ::plywood::nn::Backward<'_, #other, ::plywood::__private::Params<'_, #other>>,
            ) {
                #backward
            }
        }
    }

    fn forward(&self, between: &[TokenStream], simd: &Ident) -> TokenStream {
        let Emitter { steps, other, .. } = self;
        let cuts = cuts(steps, between, &quote!(split_at_mut));
        let calls = steps.iter().enumerate().map(|(i, step)| {
            let (p, s, x) = (format_ident!("p{i}"), format_ident!("s{i}"), before(i));
            let y = if i + 1 == steps.len() { quote!(y) } else { format_ident!("h{i}").to_token_stream() };
            let forward = step.function_on("forward_on", other, simd);
            quote! {
                #forward(::plywood::nn::Forward { params: #p, x: #x, y: &mut *#y, saved: #s, batch });
            }
        });
        quote! {
            let ::plywood::nn::Forward { params, x, y, saved, batch } = pass;
            #cuts
            #(#calls)*
        }
    }

    fn backward(&self, between: &[TokenStream], slots: &[TokenStream; 2], simd: &Ident) -> TokenStream {
        let Emitter { steps, other, .. } = self;
        let cuts = cuts(steps, between, &quote!(split_at));
        let gradients = steps.iter().enumerate().map(|(i, step)| {
            let (g, params) = (format_ident!("g{i}"), step.get("PARAMS"));
            quote!(let (#g, dparams) = dparams.split_at_mut(#params);)
        });
        let names = [quote!(even), quote!(odd)];
        let gradient = |i: usize| {
            let (slot, size) = (&names[i % 2], &between[i]);
            quote!(&mut #slot[..batch * #size])
        };
        let last = steps.len() - 1;
        let calls = steps.iter().enumerate().rev().map(|(i, step)| {
            let (p, s, g, x) = (format_ident!("p{i}"), format_ident!("s{i}"), format_ident!("g{i}"), before(i));
            let y = if i == last { quote!(y) } else { format_ident!("h{i}").to_token_stream() };
            let dy = if i == last { quote!(&mut *dy) } else { gradient(i) };
            let dx = match i.checked_sub(1) {
                None => quote!(dx),
                Some(before) => {
                    let gradient = gradient(before);
                    quote!(::core::option::Option::Some(#gradient))
                }
            };
            let (backward, scratch_size) = (step.function_on("backward_on", other, simd), step.get("SCRATCH"));
            quote! {
                #backward(::plywood::nn::Backward {
                    params: #p, x: #x, y: #y, saved: #s,
                    dy: #dy, dx: #dx, dparams: #g, scratch: &mut scratch[..batch * #scratch_size], batch,
                });
            }
        });
        let slots = names
            .iter()
            .zip(slots)
            .take(between.len())
            .map(|(slot, size)| quote!(let (#slot, scratch) = scratch.split_at_mut(batch * (#size));));
        quote! {
            let ::plywood::nn::Backward { params, x, y, saved, dy, dx, dparams, scratch, batch } = pass;
            #cuts
            #(#gradients)*
            let _ = dparams;
            #(#slots)*
            #(#calls)*
        }
    }

    /// The layers that can have parameters, each with the numbers of parameters before it.
    fn with_params(&self) -> impl Iterator<Item = (usize, &Planned, Step, TokenStream)> {
        let mut before = quote!(0);
        self.plan.layers.iter().enumerate().filter(|(_, layer)| layer.params).map(move |(index, layer)| {
            let step = Step::of(layer);
            let params = step.get("PARAMS");
            let offset = before.clone();
            before.extend(quote!(+ #params));
            (index, layer, step, offset)
        })
    }

    fn accessors(&self) -> TokenStream {
        let Emitter { vis, elem, .. } = self;
        self.with_params()
            .filter_map(|(index, layer, step, offset)| {
                let name = layer.name.as_ref()?;
                let (of, view) = (step.view("'_", elem), step.function("view", elem));
                let (docs, part) = (&layer.docs, step.part(&offset, Span::call_site()));
                let doc = format!("The parameters of layer {index}, `{name}: {}`.", layer.text);
                Some(quote! {
                    #[doc = #doc]
                    #(#docs)*
                    #vis fn #name(&self) -> #of {
                        #view(#part)
                    }
                })
            })
            .collect()
    }

    fn at_impls(&self, any: &TokenStream) -> TokenStream {
        let Emitter { name, where_clause, own, elem, store, .. } = self;
        self.with_params()
            .map(|(index, _, step, offset)| {
                let (of, given, view) = (step.view("'a", elem), step.view("'_", elem), step.function("view", elem));
                let part = step.part(&offset, step.span);
                let items = quote_spanned! {step.span=>
                    type View<'a> = #of where Self: 'a;

                    fn at(&self) -> #given {
                        #view(#part)
                    }
                };
                quote! {
                    impl #any ::plywood::nn::At<#index> for #name<#(#own,)* #elem, #store> #where_clause {
                        #items
                    }
                }
            })
            .collect()
    }

    /// A trait of which the message names the layers, and a use of it that compiles only if the types are the same.
    fn fit_check(&self, fit: &Fit, generics: &TokenStream) -> TokenStream {
        let Fit { got, want, message, label, span } = fit;
        let where_clause = self.where_clause;
        let (fits, wants, same) = (self.fresh.name("Fits"), self.fresh.name("Want"), self.fresh.name("Same"));
        let (message, label) =
            (message.replace("{Want}", &format!("{{{wants}}}")), label.replace("{Want}", &format!("{{{wants}}}")));
        // By a name of its own, so that what is unknown in it is reported where it stands and not here again.
        let given = self.fresh.name("Given");
        let (alias, got) = if self.own.is_empty() {
            (Some(quote!(type #given = #got;)), given.to_token_stream())
        } else {
            (None, got.clone())
        };
        let ok = respan(quote!(<#got as #fits<#want>>::OK), *span);
        quote! {
            const _: () = {
                #[diagnostic::on_unimplemented(message = #message, label = #label)]
                trait #fits<#wants> {
                    const OK: () = ();
                }
                #[diagnostic::do_not_recommend]
                impl<#same> #fits<#same> for #same {}
                #alias
                fn fits #generics () #where_clause {
                    #ok
                }
            };
        }
    }
}

/// Cuts the parameters `p…`, what each step keeps `s…`, and the activations between steps `h…` out of their blocks.
fn cuts(steps: &[Step], between: &[TokenStream], split: &TokenStream) -> TokenStream {
    let mut code = TokenStream::new();
    for (i, step) in steps.iter().enumerate() {
        let (p, s, h) = (format_ident!("p{i}"), format_ident!("s{i}"), format_ident!("h{i}"));
        let (params, kept) = (step.get("PARAMS"), step.get("SAVED"));
        code.extend(quote! {
            let (#p, params) = params.split_at(#params);
            let (#s, saved) = saved.#split(batch * #kept);
        });
        if let Some(size) = between.get(i) {
            code.extend(quote!(let (#h, saved) = saved.#split(batch * #size);));
        }
    }
    quote!(#code let _ = (params, saved);)
}

/// What goes into step `i`.
fn before(i: usize) -> TokenStream {
    match i.checked_sub(1) {
        None => quote!(x),
        Some(before) => format_ident!("h{before}").to_token_stream(),
    }
}

/// The same tokens, all of them at one place in the user's text.
fn respan(tokens: TokenStream, span: Span) -> TokenStream {
    let place = |mut token: TokenTree| {
        if let TokenTree::Group(group) = &token {
            token = proc_macro2::Group::new(group.delimiter(), respan(group.stream(), span)).into();
        }
        token.set_span(span);
        token
    };
    tokens.into_iter().map(place).collect()
}
